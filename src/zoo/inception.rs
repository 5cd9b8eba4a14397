//! Networks of modules with parallel branches: BN-Inception (Ioffe and Szegedy 2015), Inception-v3 (Szegedy et al. 2016),
//! Inception-v4 and Inception-ResNet-v2 (Szegedy et al. 2017).
//! Names and details of timm 1.0's `models/inception_*.py` and of pytorchcv's `models/bninception.py`.

use super::net::Net;
use super::{Entry, Network};
use crate::error::Result;
use crate::graph::{InsertSe, Value};
use crate::ops::{Act, Conv2d, Op, Padding, Pool};

/// What a row says.
#[derive(Debug)]
struct Inception {
    modules: fn() -> Vec<Module>,
    eps: f64,
    /// Whether convolutions have a bias although a batch norm follows.
    bias: bool,
    /// Name of the classifier.
    head: &'static str,
}

/// A module's name and its parts, one after the other.
type Module = (String, Vec<Part>);

/// Part of a module. Its name follows the module's.
#[derive(Clone)]
enum Part {
    /// Convolution, batch norm, ReLU.
    Conv(&'static str, Conv2d),
    Pool(&'static str, Pool),
    /// Branches on one value, concatenated.
    Fork(&'static str, Vec<Vec<Part>>),
    /// `relu(x + scale * conv(branches(x)))`, with a 1x1 convolution back to the channels of `x`.
    Residual {
        branches: Vec<Vec<Part>>,
        scale: f32,
        relu: bool,
    },
}

use Part::Fork;

/// A convolution that keeps the map's size.
fn keep(name: &'static str, channels: usize, kernel: [usize; 2]) -> Part {
    let [y, x] = kernel.map(|side| side / 2);
    let padding = Padding { top: y, bottom: y, left: x, right: x };
    Part::Conv(name, Conv2d { kernel, padding, ..Conv2d::new(channels, 1) })
}

fn c1(name: &'static str, channels: usize) -> Part {
    keep(name, channels, [1, 1])
}

fn c3(name: &'static str, channels: usize) -> Part {
    keep(name, channels, [3, 3])
}

/// A 3x3 convolution without padding.
fn valid(name: &'static str, channels: usize, stride: usize) -> Part {
    Part::Conv(name, Conv2d::new(channels, 3).stride(stride))
}

/// The maximum, without padding, at half the size.
fn max(name: &'static str) -> Part {
    Part::Pool(name, Pool::max(3).stride(2))
}

/// The mean around each position, of what is inside the map or of zeros too.
fn avg(name: &'static str, zeros: bool) -> Part {
    Part::Pool(name, Pool::avg(3).stride(1).padding(1).count_include_pad(zeros))
}

fn module(name: impl Into<String>, branches: Vec<Vec<Part>>) -> Module {
    (name.into(), vec![Fork("", branches)])
}

fn layer(name: &str, part: Part) -> Module {
    (name.into(), vec![part])
}

const BN: Entry = Entry::new(
    "bninception",
    224,
    "pytorchcv 0.0.74 models/bninception.py",
    &Inception { modules: bn_inception, eps: 1e-5, bias: true, head: "output" },
)
.smallest(64);
const RESNET_V2: Entry = Entry::new(
    "inception_resnet_v2",
    299,
    "timm 1.0 models/inception_resnet_v2.py",
    &Inception { modules: inception_resnet_v2, eps: 1e-3, bias: false, head: "classif" },
)
.smallest(75);

/// Every network of this family.
pub(super) const TABLE: &[Entry] = &[
    BN,
    BN.with_se("se_bninception", |graph| {
        graph.insert_se(&InsertSe::ratio(16), |node| matches!(node.op, Op::Concat(_)))
    }),
    Entry::new(
        "inception_v3",
        299,
        "timm 1.0 models/inception_v3.py",
        &Inception { modules: inception_v3, eps: 1e-3, bias: false, head: "fc" },
    )
    .smallest(75),
    Entry::new(
        "inception_v4",
        299,
        "timm 1.0 models/inception_v4.py",
        &Inception { modules: inception_v4, eps: 1e-3, bias: false, head: "last_linear" },
    )
    .smallest(75),
    RESNET_V2,
    // On each residual branch before it is scaled and added, and on the modules without a shortcut.
    RESNET_V2.with_se("se_inception_resnet_v2", |graph| {
        graph.insert_se_named(&InsertSe::ratio(16), |node| {
            let block = node.name.strip_suffix(".conv2d");
            let module = Some(node.name.as_str()).filter(|name| name.starts_with("mixed_") && !name.contains('.'));
            block.or(module).map(|name| format!("{name}.se"))
        })
    }),
];

/// Widths of the branches (1x1; 3x3; double 3x3; pool) and of what comes before the 3x3s.
fn bn_inception() -> Vec<Module> {
    let init = vec![
        Part::Conv("conv1", Conv2d::new(64, 7).stride(2).padding(3)),
        Part::Pool("pool1", Pool::max(3).stride(2).ceil_mode(true)),
        c1("conv2.conv1", 64),
        c3("conv2.conv2", 192),
        Part::Pool("pool2", Pool::max(3).stride(2).ceil_mode(true)),
    ];
    let unit = |name: &str, before: [usize; 2], [w1, w3, w33, pool]: [usize; 4], last: bool| {
        let around = if last {
            Part::Pool("branches.branch4.pool", Pool::max(3).stride(1).padding(1).ceil_mode(true))
        } else {
            Part::Pool("branches.branch4.pool", Pool::avg(3).stride(1).padding(1).ceil_mode(true))
        };
        let branches = vec![
            vec![c1("branches.branch1", w1)],
            vec![c1("branches.branch2.conv1", before[0]), c3("branches.branch2.conv2", w3)],
            vec![
                c1("branches.branch3.conv1", before[1]),
                c3("branches.branch3.conv2", w33),
                c3("branches.branch3.conv3", w33),
            ],
            vec![around, c1("branches.branch4.conv", pool)],
        ];
        module(format!("features.{name}"), branches)
    };
    let halve = |name: &str, before: [usize; 2], [w3, w33]: [usize; 2]| {
        let down = |name, channels| Part::Conv(name, Conv2d::new(channels, 3).stride(2).padding(1));
        let branches = vec![
            vec![c1("branches.branch1.conv1", before[0]), down("branches.branch1.conv2", w3)],
            vec![
                c1("branches.branch2.conv1", before[1]),
                c3("branches.branch2.conv2", w33),
                down("branches.branch2.conv3", w33),
            ],
            vec![Part::Pool("branches.branch3", Pool::max(3).stride(2).ceil_mode(true))],
        ];
        module(format!("features.{name}"), branches)
    };
    vec![
        ("features.init_block".into(), init),
        unit("stage1.unit1", [64, 64], [64, 64, 96, 32], false),
        unit("stage1.unit2", [64, 64], [64, 96, 96, 64], false),
        halve("stage2.unit1", [128, 64], [160, 96]),
        unit("stage2.unit2", [64, 96], [224, 96, 128, 128], false),
        unit("stage2.unit3", [96, 96], [192, 128, 128, 128], false),
        unit("stage2.unit4", [128, 128], [160, 160, 160, 128], false),
        unit("stage2.unit5", [128, 160], [96, 192, 192, 128], false),
        halve("stage3.unit1", [128, 192], [192, 256]),
        unit("stage3.unit2", [192, 160], [352, 320, 224, 128], false),
        unit("stage3.unit3", [192, 192], [352, 320, 224, 128], true),
    ]
}

fn inception_v3() -> Vec<Module> {
    let a = |name: &str, pool| {
        module(
            name,
            vec![
                vec![c1("branch1x1", 64)],
                vec![c1("branch5x5_1", 48), keep("branch5x5_2", 64, [5, 5])],
                vec![c1("branch3x3dbl_1", 64), c3("branch3x3dbl_2", 96), c3("branch3x3dbl_3", 96)],
                vec![avg("pool", true), c1("branch_pool", pool)],
            ],
        )
    };
    let c = |name: &str, width| {
        module(
            name,
            vec![
                vec![c1("branch1x1", 192)],
                vec![c1("branch7x7_1", width), keep("branch7x7_2", width, [1, 7]), keep("branch7x7_3", 192, [7, 1])],
                vec![
                    c1("branch7x7dbl_1", width),
                    keep("branch7x7dbl_2", width, [7, 1]),
                    keep("branch7x7dbl_3", width, [1, 7]),
                    keep("branch7x7dbl_4", width, [7, 1]),
                    keep("branch7x7dbl_5", 192, [1, 7]),
                ],
                vec![avg("pool", true), c1("branch_pool", 192)],
            ],
        )
    };
    let e = |name: &str| {
        let fork3 = vec![vec![keep("branch3x3_2a", 384, [1, 3])], vec![keep("branch3x3_2b", 384, [3, 1])]];
        let fork33 = vec![vec![keep("branch3x3dbl_3a", 384, [1, 3])], vec![keep("branch3x3dbl_3b", 384, [3, 1])]];
        module(
            name,
            vec![
                vec![c1("branch1x1", 320)],
                vec![c1("branch3x3_1", 384), Fork("branch3x3", fork3)],
                vec![c1("branch3x3dbl_1", 448), c3("branch3x3dbl_2", 384), Fork("branch3x3dbl", fork33)],
                vec![avg("pool", true), c1("branch_pool", 192)],
            ],
        )
    };
    let b = vec![
        vec![valid("branch3x3", 384, 2)],
        vec![c1("branch3x3dbl_1", 64), c3("branch3x3dbl_2", 96), valid("branch3x3dbl_3", 96, 2)],
        vec![max("pool")],
    ];
    let d = vec![
        vec![c1("branch3x3_1", 192), valid("branch3x3_2", 320, 2)],
        vec![
            c1("branch7x7x3_1", 192),
            keep("branch7x7x3_2", 192, [1, 7]),
            keep("branch7x7x3_3", 192, [7, 1]),
            valid("branch7x7x3_4", 192, 2),
        ],
        vec![max("pool")],
    ];
    vec![
        layer("Conv2d_1a_3x3", valid("", 32, 2)),
        layer("Conv2d_2a_3x3", valid("", 32, 1)),
        layer("Conv2d_2b_3x3", c3("", 64)),
        layer("Pool1", max("")),
        layer("Conv2d_3b_1x1", c1("", 80)),
        layer("Conv2d_4a_3x3", valid("", 192, 1)),
        layer("Pool2", max("")),
        a("Mixed_5b", 32),
        a("Mixed_5c", 64),
        a("Mixed_5d", 64),
        module("Mixed_6a", b),
        c("Mixed_6b", 128),
        c("Mixed_6c", 160),
        c("Mixed_6d", 160),
        c("Mixed_6e", 192),
        module("Mixed_7a", d),
        e("Mixed_7b"),
        e("Mixed_7c"),
    ]
}

fn inception_v4() -> Vec<Module> {
    let mixed3 = vec![vec![max("maxpool")], vec![valid("conv", 96, 2)]];
    let mixed4 = vec![
        vec![c1("branch0.0", 64), valid("branch0.1", 96, 1)],
        vec![
            c1("branch1.0", 64),
            keep("branch1.1", 64, [1, 7]),
            keep("branch1.2", 64, [7, 1]),
            valid("branch1.3", 96, 1),
        ],
    ];
    let mixed5 = vec![vec![valid("conv", 192, 2)], vec![max("maxpool")]];
    let a = vec![
        vec![c1("branch0", 96)],
        vec![c1("branch1.0", 64), c3("branch1.1", 96)],
        vec![c1("branch2.0", 64), c3("branch2.1", 96), c3("branch2.2", 96)],
        vec![avg("branch3.0", false), c1("branch3.1", 96)],
    ];
    let reduction_a = vec![
        vec![valid("branch0", 384, 2)],
        vec![c1("branch1.0", 192), c3("branch1.1", 224), valid("branch1.2", 256, 2)],
        vec![max("branch2")],
    ];
    let b = vec![
        vec![c1("branch0", 384)],
        vec![c1("branch1.0", 192), keep("branch1.1", 224, [1, 7]), keep("branch1.2", 256, [7, 1])],
        vec![
            c1("branch2.0", 192),
            keep("branch2.1", 192, [7, 1]),
            keep("branch2.2", 224, [1, 7]),
            keep("branch2.3", 224, [7, 1]),
            keep("branch2.4", 256, [1, 7]),
        ],
        vec![avg("branch3.0", false), c1("branch3.1", 128)],
    ];
    let reduction_b = vec![
        vec![c1("branch0.0", 192), valid("branch0.1", 192, 2)],
        vec![
            c1("branch1.0", 256),
            keep("branch1.1", 256, [1, 7]),
            keep("branch1.2", 320, [7, 1]),
            valid("branch1.3", 320, 2),
        ],
        vec![max("branch2")],
    ];
    let fork1 = vec![vec![keep("branch1_1a", 256, [1, 3])], vec![keep("branch1_1b", 256, [3, 1])]];
    let fork2 = vec![vec![keep("branch2_3a", 256, [1, 3])], vec![keep("branch2_3b", 256, [3, 1])]];
    let c = vec![
        vec![c1("branch0", 256)],
        vec![c1("branch1_0", 384), Fork("branch1", fork1)],
        vec![
            c1("branch2_0", 384),
            keep("branch2_1", 448, [3, 1]),
            keep("branch2_2", 512, [1, 3]),
            Fork("branch2", fork2),
        ],
        vec![avg("branch3.0", false), c1("branch3.1", 256)],
    ];
    let stem = [valid("", 32, 2), valid("", 32, 1), c3("", 64)].map(|part| vec![part]);
    let forks = [(1, mixed3), (1, mixed4), (1, mixed5), (4, a), (1, reduction_a), (7, b), (1, reduction_b), (3, c)];
    let forks = forks.into_iter().flat_map(|(times, fork)| vec![vec![Fork("", fork)]; times]);
    stem.into_iter().chain(forks).enumerate().map(|(n, parts)| (format!("features.{n}"), parts)).collect()
}

fn inception_resnet_v2() -> Vec<Module> {
    let mixed5 = vec![
        vec![c1("branch0", 96)],
        vec![c1("branch1.0", 48), keep("branch1.1", 64, [5, 5])],
        vec![c1("branch2.0", 64), c3("branch2.1", 96), c3("branch2.2", 96)],
        vec![avg("branch3.0", false), c1("branch3.1", 64)],
    ];
    let block35 = vec![
        vec![c1("branch0", 32)],
        vec![c1("branch1.0", 32), c3("branch1.1", 32)],
        vec![c1("branch2.0", 32), c3("branch2.1", 48), c3("branch2.2", 64)],
    ];
    let mixed6 = vec![
        vec![valid("branch0", 384, 2)],
        vec![c1("branch1.0", 256), c3("branch1.1", 256), valid("branch1.2", 384, 2)],
        vec![max("branch2")],
    ];
    let block17 = vec![
        vec![c1("branch0", 192)],
        vec![c1("branch1.0", 128), keep("branch1.1", 160, [1, 7]), keep("branch1.2", 192, [7, 1])],
    ];
    let mixed7 = vec![
        vec![c1("branch0.0", 256), valid("branch0.1", 384, 2)],
        vec![c1("branch1.0", 256), valid("branch1.1", 288, 2)],
        vec![c1("branch2.0", 256), c3("branch2.1", 288), valid("branch2.2", 320, 2)],
        vec![max("branch3")],
    ];
    let block8 = vec![
        vec![c1("branch0", 192)],
        vec![c1("branch1.0", 192), keep("branch1.1", 224, [1, 3]), keep("branch1.2", 256, [3, 1])],
    ];
    let residual = |branches: &Vec<_>, scale, relu| Part::Residual { branches: branches.clone(), scale, relu };
    let repeat = |name: &'static str, times: usize, part: Part| {
        (0..times).map(move |n| (format!("{name}.{n}"), vec![part.clone()]))
    };
    let mut modules = vec![
        layer("conv2d_1a", valid("", 32, 2)),
        layer("conv2d_2a", valid("", 32, 1)),
        layer("conv2d_2b", c3("", 64)),
        layer("maxpool_3a", max("")),
        layer("conv2d_3b", c1("", 80)),
        layer("conv2d_4a", valid("", 192, 1)),
        layer("maxpool_5a", max("")),
        module("mixed_5b", mixed5),
    ];
    modules.extend(repeat("repeat", 10, residual(&block35, 0.17, true)));
    modules.push(module("mixed_6a", mixed6));
    modules.extend(repeat("repeat_1", 20, residual(&block17, 0.1, true)));
    modules.push(module("mixed_7a", mixed7));
    modules.extend(repeat("repeat_2", 9, residual(&block8, 0.2, true)));
    modules.push(layer("block8", residual(&block8, 1.0, false)));
    modules.push(layer("conv2d_7b", c1("", 1536)));
    modules
}

impl Network for Inception {
    fn build(&self, net: &mut Net, image: Value, classes: usize) -> Result<Value> {
        net.eps = self.eps;
        let mut x = image;
        for (name, parts) in (self.modules)() {
            x = self.parts(net, &name, &parts, x)?;
        }
        net.classify(self.head, x, classes)
    }
}

impl Inception {
    fn parts(&self, net: &mut Net, module: &str, parts: &[Part], input: Value) -> Result<Value> {
        let at = |name: &str| if name.is_empty() { module.to_string() } else { format!("{module}.{name}") };
        let mut x = input;
        for part in parts {
            x = match part {
                Part::Conv(name, conv) => net.unit(&at(name), x, conv.clone().bias(self.bias), Act::Relu)?,
                Part::Pool(name, pool) => net.pool(&at(name), x, pool.clone())?,
                Fork(name, branches) => self.fork(net, module, &at(name), branches, x)?,
                Part::Residual { branches, scale, relu } => {
                    let y = self.fork(net, module, &at("cat"), branches, x)?;
                    let y = net.conv(&at("conv2d"), y, Conv2d::new(net.channels(x), 1))?;
                    let y = if *scale == 1.0 { y } else { net.times(&at("times"), y, *scale)? };
                    let y = net.sum(&at("add"), y, x)?;
                    if *relu { net.relu(&at("act"), y)? } else { y }
                }
            };
        }
        Ok(x)
    }

    fn fork(&self, net: &mut Net, module: &str, name: &str, branches: &[Vec<Part>], x: Value) -> Result<Value> {
        let ends: Result<Vec<Value>> = branches.iter().map(|parts| self.parts(net, module, parts, x)).collect();
        net.concat(name, &ends?)
    }
}
