//! No GPU: files, directories and foreign names of weights, against the networks of the zoo. Files are sparse: each
//! tensor's first number says which of the file's it is, the others are zeros that take no room.

use excite::import::safetensors;
use excite::{Graph, Tensor, Weights, zoo};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;
type Shapes = Vec<(String, Vec<usize>)>;

/// A network as another library names it.
struct Foreign {
    ours: String,
    title: String,
    fits: bool,
    tensors: Shapes,
}

/// What `tools/check_renames.py` wrote.
fn foreign() -> Outcome<Vec<Foreign>> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/foreign.txt"))?;
    let mut networks: Vec<Foreign> = Vec::new();
    let mut layer = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        if let ["=", ours, library, theirs, verdict] = fields[..] {
            let (ours, title) = (ours.to_string(), format!("{ours} as {library}'s {theirs}"));
            networks.push(Foreign { ours, title, fits: verdict == "fits", tensors: Vec::new() });
            layer.clear();
            continue;
        }
        layer.truncate(fields[0].parse()?);
        layer.push_str(fields[1].trim_start_matches('-'));
        let shape: Vec<usize> = fields[2..].iter().map_while(|field| field.parse().ok()).collect();
        let others: &[&str] = match *fields.last().ok_or("an empty line")? {
            "b" => &["bias"],
            "n" => &["bias", "running_mean", "running_var"],
            _ => &[],
        };
        let tensors = &mut networks.last_mut().ok_or("a layer before the first network")?.tensors;
        tensors.extend(others.iter().map(|role| (format!("{layer}.{role}"), vec![shape[0]])));
        tensors.push((format!("{layer}.weight"), shape));
    }
    Ok(networks)
}

/// A safetensors file; the first number of tensor `i` is `i + 1`.
fn numbered(path: PathBuf, tensors: &Shapes) -> Outcome<PathBuf> {
    let mut header = BTreeMap::new();
    let mut starts = Vec::new();
    let mut end = 0;
    for (name, shape) in tensors {
        let start = end;
        starts.push(start);
        end += 4 * shape.iter().product::<usize>();
        header.insert(name, serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]}));
    }
    let header = serde_json::to_vec(&header)?;
    let mut file = File::create(&path)?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    file.set_len((8 + header.len() + end) as u64)?;
    for (i, start) in starts.iter().enumerate() {
        file.seek(SeekFrom::Start((8 + header.len() + start) as u64))?;
        file.write_all(&((i + 1) as f32).to_le_bytes())?;
    }
    Ok(path)
}

/// The name in a numbered file of each of the graph's tensors, by the numbers that the graph would be given.
fn origins(graph: &Graph, weights: &Weights, tensors: &Shapes) -> Outcome<BTreeMap<String, String>> {
    let origin = |(ours, shape): (String, Vec<usize>)| {
        let number = weights.get(&ours, &shape)?.data()[0] as usize;
        let (theirs, _) = tensors.get(number.wrapping_sub(1)).ok_or_else(|| format!("{ours} has nobody's numbers"))?;
        Ok((ours, theirs.clone()))
    };
    graph.tensors().into_iter().map(origin).collect()
}

/// The network for other classes and channels.
fn other(name: &str, classes: Option<usize>, channels: Option<usize>) -> Outcome<Graph> {
    Ok(zoo::build(name, &zoo::Options::default().classes(classes).channels(channels))?)
}

fn network(name: &str) -> Outcome<Graph> {
    Ok(zoo::build(name, &zoo::Options::default())?)
}

fn refusal(network_name: &str, path: &Path) -> Outcome<String> {
    Ok(Weights::open(path)?.check(&network(network_name)?).err().ok_or("the weights are accepted")?.to_string())
}

#[test]
fn foreign_checkpoints_fit_where_the_networks_are_the_same() -> Outcome {
    let folder = tempfile::tempdir()?;
    let networks = foreign()?;
    assert!(networks.iter().filter(|n| n.fits).count() >= 28 && networks.iter().filter(|n| !n.fits).count() >= 20);
    let mut mappings = String::new();
    for Foreign { ours, title, fits, tensors } in networks {
        let graph = network(&ours)?;
        let path = numbered(folder.path().join("foreign.safetensors"), &tensors)?;
        let weights = Weights::open(&path)?;
        match weights.fit(&graph) {
            Ok(weights) => {
                assert!(fits, "{title} is accepted");
                weights.check(&graph).map_err(|e| format!("{title}: {e}"))?;
                let origins = origins(&graph, &weights, &tensors)?;
                let lines: String = origins.iter().map(|(ours, theirs)| format!("{ours} <- {theirs}\n")).collect();
                let sum: String = Sha256::digest(lines)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
                mappings.push_str(&format!("{title}: {} tensors, {sum}\n", origins.len()));
            }
            Err(error) => assert!(!fits, "{title}: {error}"),
        }
        // One tensor less or more, and the names explain nothing.
        if fits {
            let less: Shapes = tensors[1..].to_vec();
            assert!(Weights::open(numbered(path.clone(), &less)?)?.fit(&graph).is_err(), "{title}, one less");
            let more: Shapes = [&tensors[..], &[("more.weight".into(), vec![1])]].concat();
            assert!(Weights::open(numbered(path.clone(), &more)?)?.fit(&graph).is_err(), "{title}, one more");
        }
    }
    // Which of theirs becomes which of ours. tools/check_renames.py proved it by comparing outputs; after a change here
    // it has to do so again.
    insta::assert_snapshot!("foreign_names", mappings);
    Ok(())
}

#[test]
fn foreign_tensors_of_one_shape_are_not_mixed_up() -> Outcome {
    let folder = tempfile::tempdir()?;
    for (title, pairs) in [
        (
            "efficientnet_b0 as torchvision's efficientnet_b0",
            &[
                ("bn1.weight", "features.0.1.weight"),
                ("bn2.running_var", "features.8.1.running_var"),
                // The first SE block has no expansion.
                ("blocks.0.0.bn1.bias", "features.1.0.block.0.1.bias"),
                ("blocks.0.0.se.conv_reduce.weight", "features.1.0.block.1.fc1.weight"),
                ("blocks.0.0.se.conv_expand.weight", "features.1.0.block.1.fc2.weight"),
                ("blocks.0.0.bn2.bias", "features.1.0.block.2.1.bias"),
                ("blocks.2.1.bn1.weight", "features.3.1.block.0.1.weight"),
                ("blocks.2.1.bn1.running_mean", "features.3.1.block.0.1.running_mean"),
                ("blocks.2.1.bn2.weight", "features.3.1.block.1.1.weight"),
                ("blocks.2.1.bn2.running_mean", "features.3.1.block.1.1.running_mean"),
                ("blocks.2.1.se.conv_reduce.bias", "features.3.1.block.2.fc1.bias"),
                ("blocks.2.1.se.conv_expand.bias", "features.3.1.block.2.fc2.bias"),
                ("blocks.2.1.bn3.weight", "features.3.1.block.3.1.weight"),
                ("classifier.bias", "classifier.1.bias"),
            ][..],
        ),
        (
            "seresnext50_32x4d as pytorchcv's seresnext50_32x4d",
            &[
                ("bn1.bias", "features.init_block.conv.bn.bias"),
                ("layer1.0.bn1.weight", "features.stage1.unit1.body.conv1.bn.weight"),
                ("layer1.0.bn1.running_var", "features.stage1.unit1.body.conv1.bn.running_var"),
                ("layer1.0.bn2.weight", "features.stage1.unit1.body.conv2.bn.weight"),
                ("layer1.0.bn2.running_var", "features.stage1.unit1.body.conv2.bn.running_var"),
                ("layer1.0.bn3.bias", "features.stage1.unit1.body.conv3.bn.bias"),
                ("layer1.0.downsample.0.weight", "features.stage1.unit1.identity_conv.conv.weight"),
                ("layer1.0.downsample.1.bias", "features.stage1.unit1.identity_conv.bn.bias"),
                ("layer3.5.se.fc1.weight", "features.stage3.unit6.se.conv1.weight"),
                ("layer3.5.se.fc2.weight", "features.stage3.unit6.se.conv2.weight"),
                ("fc.weight", "output.weight"),
            ],
        ),
    ] {
        let Foreign { ours, tensors, .. } = foreign()?.into_iter().find(|n| n.title == title).ok_or(title)?;
        let graph = network(&ours)?;
        let weights = Weights::open(numbered(folder.path().join("x.safetensors"), &tensors)?)?.fit(&graph)?;
        let origins = origins(&graph, &weights, &tensors)?;
        for (ours, theirs) in pairs {
            assert_eq!(origins.get(*ours).map(String::as_str), Some(*theirs), "{title}: {ours}");
        }
    }
    Ok(())
}

#[test]
fn networks_that_only_look_the_same_are_refused_with_the_reason() -> Outcome {
    let folder = tempfile::tempdir()?;
    for (title, reason) in [
        ("efficientnet_b5 as torchvision's efficientnet_b5", "batch norms with eps 0.001, this one 1e-5"),
        ("tf_efficientnet_b0 as torchvision's efficientnet_b0", "this one as TensorFlow; name the one without tf_"),
        ("resnet50 as pytorchcv's resnet50b", "which these are can't be known"),
        ("abl_resnet50 as pytorchcv's resnet50", "which these are can't be known"),
    ] {
        let network = foreign()?.into_iter().find(|n| n.title == title).ok_or(title)?;
        let message = refusal(&network.ours, &numbered(folder.path().join("x.safetensors"), &network.tensors)?)?;
        assert!(message.contains(reason), "{title}: {message}");
    }
    Ok(())
}

#[test]
fn weights_of_another_network_are_told_whose_they_are() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.safetensors");
    let message = refusal("seresnet50", &numbered(path.clone(), &network("legacy_seresnet50")?.tensors())?)?;
    let expected = "these look like those of legacy_seresnet50; name it (`--model legacy_seresnet50`)";
    assert!(message.ends_with(&format!("not those of seresnet50: {expected}")), "{message}");
    let theirs = foreign()?.into_iter().find(|n| n.title.ends_with("torchvision's efficientnet_b2")).ok_or("b2")?;
    let message = refusal("seresnet50", &numbered(path.clone(), &theirs.tensors)?)?;
    assert!(message.ends_with("look like those of efficientnet_b2; name it (`--model efficientnet_b2`)"), "{message}");
    let fewer = zoo::Options::default().classes(7);
    let message = refusal("seresnet50", &numbered(path.clone(), &zoo::build("seresnet50", &fewer)?.tensors())?)?;
    assert!(message.contains("all fits but fc, which has 7 classes and not 1000"), "{message}");
    assert!(message.contains("`--classes 7`") && !message.contains("look like"), "{message}");
    // Of two networks with the same tensors, the one asked for.
    let mut broken = network("efficientnet_b3")?.tensors();
    broken.remove(9);
    let message = refusal("efficientnet_b3", &numbered(path, &broken)?)?;
    assert!(message.contains("1 missing: ") && !message.contains("look like"), "{message}");
    Ok(())
}

/// Seeded tensors of a graph under other names.
fn seeded(graph: &Graph, rename: impl Fn(&str) -> String) -> Outcome<Vec<(String, Tensor)>> {
    let weights = Weights::seeded(5, 1.0);
    graph.tensors().into_iter().map(|(name, shape)| Ok((rename(&name), weights.get(&name, &shape)?))).collect()
}

/// Writes and opens a file.
fn opened(path: &Path, tensors: &[(String, Tensor)]) -> Outcome<Weights> {
    safetensors::write(path, tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)))?;
    Ok(Weights::open(path)?)
}

#[test]
fn what_names_begin_with_makes_no_difference() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.safetensors");
    let graph = network("digits_seresnet")?;
    let input = Weights::seeded(3, 1.0).get("input", &[2, 1, 8, 8])?;
    let expected = graph.reference(&input, &Weights::seeded(5, 1.0))?;
    let classifier = |name: &str| name.starts_with("fc.");
    let moved = |name: &str, network: &str, head: &str| match classifier(name) {
        true => format!("{head}{name}"),
        false => format!("{network}{name}"),
    };
    let mut files = Vec::new();
    for prefix in ["module.", "model.", "backbone.", "_orig_mod.", "module.model.", "state_dict.student.net."] {
        files.push(seeded(&graph, |name| format!("{prefix}{name}"))?);
    }
    for (network, head) in [("backbone.", ""), ("backbone.", "head."), ("model.backbone.", "model."), ("", "head.")] {
        files.push(seeded(&graph, |name| moved(name, network, head))?);
    }
    // A classifier in a sequence with dropout.
    files.push(seeded(&graph, |name| name.replace("fc.weight", "fc.1.weight").replace("fc.bias", "fc.1.bias"))?);
    for tensors in files {
        assert!(graph.tensors().iter().any(|(name, _)| !tensors.iter().any(|(other, _)| other == name)));
        for weights in [opened(&path, &tensors)?, Weights::from_tensors(tensors.clone())] {
            let weights = weights.fit(&graph).map_err(|e| format!("{}: {e}", tensors[0].0))?;
            assert_eq!(graph.reference(&input, &weights)?, expected, "{}", tensors[0].0);
        }
        // Not with one tensor more, or less.
        let more = [&tensors[..], &[("module.more.weight".to_string(), Tensor::zeros([1]))]].concat();
        assert!(opened(&path, &more)?.check(&graph).is_err(), "{}, one more", tensors[0].0);
        assert!(opened(&path, &tensors[1..])?.check(&graph).is_err(), "{}, one less", tensors[0].0);
    }
    Ok(())
}

#[test]
fn foreign_names_take_prefixes_and_other_classes() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.safetensors");
    for Foreign { ours, title, tensors, .. } in foreign()?.into_iter().filter(|network| network.fits) {
        let graph = network(&ours)?;
        let plain = Weights::open(numbered(path.clone(), &tensors)?)?.fit(&graph)?;
        let prefixed: Shapes = tensors.iter().map(|(n, s)| (format!("module.{n}"), s.clone())).collect();
        let theirs = folder.path().join("prefixed.safetensors");
        let weights = Weights::open(numbered(theirs, &prefixed)?)?.fit(&graph).map_err(|e| format!("{title}: {e}"))?;
        assert_eq!(origins(&graph, &weights, &tensors)?, origins(&graph, &plain, &tensors)?, "{title}");

        let classes = graph.output_shape().channels();
        let seven = |(name, mut shape): (String, Vec<usize>)| {
            if shape[0] == classes && shape.len() <= 2 {
                shape[0] = 7;
            }
            (name, shape)
        };
        let fewer: Shapes = prefixed.into_iter().map(seven).collect();
        let weights = Weights::open(numbered(path.clone(), &fewer)?)?;
        let message = weights.check(&graph).err().ok_or_else(|| format!("{title} with 7 classes"))?.to_string();
        let expected = format!("which has 7 classes and not {classes}; build the network so (`--classes 7`,");
        assert!(message.contains(&expected) && message.len() < 400, "{title}: {message}");
        weights.check(&other(&ours, Some(7), None)?).map_err(|e| format!("{title}: {e}"))?;
    }
    Ok(())
}

/// Both libraries list layers in the order of the network, so that the n-th of theirs is the n-th of ours: no table of
/// names is needed to tell the right answer.
#[test]
fn efficientnets_of_other_libraries_answer_the_same() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.safetensors");
    let mut seen = 0;
    for Foreign { ours, title, tensors, .. } in foreign()?.into_iter().filter(|network| network.fits) {
        if !["efficientnet_b0", "tf_efficientnet_b0", "tf_efficientnet_b1"].contains(&ours.as_str()) {
            continue;
        }
        seen += 1;
        let options = zoo::Options::default().size([33, 40]).classes(11);
        let graph = zoo::build(&ours, &options)?;
        let layers = |names: Vec<String>| {
            let mut layers: Vec<String> = Vec::new();
            for name in names {
                let layer = name.rsplit_once('.').map_or(name.as_str(), |(layer, _)| layer).to_string();
                if !layers.contains(&layer) {
                    layers.push(layer);
                }
            }
            layers
        };
        let mine = layers(graph.tensors().into_iter().map(|(name, _)| name).collect());
        let theirs = layers(tensors.into_iter().map(|(name, _)| name).collect());
        assert_eq!(mine.len(), theirs.len(), "{title}");
        let names: BTreeMap<&str, &str> =
            mine.iter().map(String::as_str).zip(theirs.iter().map(String::as_str)).collect();
        let renamed = seeded(&graph, |name| {
            let (layer, role) = name.rsplit_once('.').expect("a layer and a role");
            format!("{}.{role}", names[layer])
        })?;
        let input = Weights::seeded(3, 1.0).get("input", &[1, 3, 33, 40])?;
        let weights = opened(&path, &renamed)?.fit(&graph).map_err(|e| format!("{title}: {e}"))?;
        assert_eq!(graph.reference(&input, &weights)?, graph.reference(&input, &Weights::seeded(5, 1.0))?, "{title}");
    }
    assert_eq!(seen, 3);
    Ok(())
}

#[test]
fn weights_for_other_channels_say_what_to_type() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.safetensors");
    for (classes, channels, said, options) in [
        (None, Some(1), "conv1, which takes 1 channel and not 3", "(`--channels 1`, `zoo::Options::channels`)"),
        (None, Some(4), "conv1, which takes 4 channels and not 3", "(`--channels 4`, `zoo::Options::channels`)"),
        (
            Some(7),
            Some(4),
            "fc, which has 7 classes and not 1000, and conv1, which takes 4 channels and not 3",
            "(`--classes 7 --channels 4`, `zoo::Options::classes` and `zoo::Options::channels`)",
        ),
        (Some(0), None, "fc, which the file lacks", "(`--classes 0`, `zoo::Options::classes`)"),
        (
            Some(0),
            Some(1),
            "conv1, which takes 1 channel and not 3, and fc, which the file lacks",
            "(`--channels 1 --classes 0`, `zoo::Options::channels` and `zoo::Options::classes`)",
        ),
    ] {
        let graph = other("seresnet18", classes, channels)?;
        let tensors = graph.tensors().into_iter().map(|(name, shape)| (format!("module.{name}"), shape)).collect();
        let message = refusal("seresnet18", &numbered(path.clone(), &tensors)?)?;
        assert!(message.contains(said) && message.ends_with(options), "{message}");
        Weights::open(&path)?.check(&graph)?;
    }
    // The other way round: weights for colour, a network for gray.
    let tensors = network("seresnet18")?.tensors();
    let weights = Weights::open(numbered(path, &tensors)?)?;
    let message = weights.check(&other("seresnet18", None, Some(1))?).unwrap_err().to_string();
    assert!(message.contains("takes 3 channels and not 1; build the network so (`--channels 3`,"), "{message}");
    Ok(())
}

#[test]
fn weights_without_a_classifier_give_what_it_would_read() -> Outcome {
    let weights =
        Weights::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits/digits_seresnet.safetensors"))?;
    let input = Weights::seeded(3, 1.0).get("input", &[2, 1, 8, 8])?;
    let (whole, headless) = (network("digits_seresnet")?, other("digits_seresnet", Some(0), None)?);
    let tensors = headless.tensors().into_iter().map(|(name, shape)| Ok((name.clone(), weights.get(&name, &shape)?)));
    let body = Weights::from_tensors(tensors.collect::<Outcome<Vec<_>>>()?);
    assert!(body.check(&whole).unwrap_err().to_string().contains("`--classes 0`"));
    let features = headless.reference(&input, &body.fit(&headless)?)?.remove("features").ok_or("no features")?;
    let logits = whole.reference(&input, &weights)?.remove("logits").ok_or("no logits")?;
    let (rows, read) = (10, features.shape()[1]);
    let (weight, bias) = (weights.get("fc.weight", &[rows, read])?, weights.get("fc.bias", &[rows])?);
    for image in 0..2 {
        for row in 0..rows {
            let products = (0..read).map(|i| weight.data()[row * read + i] * features.image(image)[i]);
            let sum: f32 = products.sum::<f32>() + bias.data()[row];
            assert!((sum - logits.image(image)[row]).abs() < 1e-4, "image {image}, class {row}");
        }
    }
    Ok(())
}

#[test]
fn a_refusal_shows_ten_names_of_a_kind_and_a_count() -> Outcome {
    let folder = tempfile::tempdir()?;
    let tensors: Shapes = (0..600).map(|n| (format!("odd{n:03}.weight"), vec![1])).collect();
    let message = refusal("seresnet50", &numbered(folder.path().join("x.safetensors"), &tensors)?)?;
    assert!(message.contains("600 unexpected: odd000.weight, ") && message.ends_with("odd009.weight and 590 more"));
    assert!(!message.contains("odd010") && message.matches(", ").count() == 18, "{message}");
    Ok(())
}

#[test]
fn a_directory_of_shards_is_its_file() -> Outcome {
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits/digits_seresnet.safetensors");
    let graph = network("digits_seresnet")?;
    let input = Weights::seeded(3, 1.0).get("input", &[2, 1, 8, 8])?;
    let expected = graph.reference(&input, &Weights::from_safetensors(&bundled)?)?;

    let whole = tempfile::tempdir()?;
    std::fs::copy(&bundled, whole.path().join("model.safetensors"))?;
    assert_eq!(graph.reference(&input, &Weights::open(whole.path())?.fit(&graph)?)?, expected);

    let shards = tempfile::tempdir()?;
    let mut index = BTreeMap::new();
    let tensors: Vec<(String, Tensor)> = safetensors::read(&bundled)?.into_iter().collect();
    for (n, part) in tensors.chunks(tensors.len() / 2).enumerate() {
        let file = format!("model-{n}.safetensors");
        safetensors::write(shards.path().join(&file), part.iter().map(|(name, tensor)| (name.as_str(), tensor)))?;
        index.extend(part.iter().map(|(name, _)| (name.clone(), file.clone())));
    }
    let index = serde_json::json!({"metadata": {}, "weight_map": index});
    std::fs::write(shards.path().join("model.safetensors.index.json"), index.to_string())?;
    assert_eq!(graph.reference(&input, &Weights::open(shards.path())?.fit(&graph)?)?, expected);
    let index = shards.path().join("model.safetensors.index.json");
    assert_eq!(graph.reference(&input, &Weights::open(index)?.fit(&graph)?)?, expected);
    assert!(Weights::from_safetensors(shards.path()).is_err(), "a directory is no file");
    Ok(())
}
