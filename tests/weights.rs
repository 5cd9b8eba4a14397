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
                // The first stage has no expansion.
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
        ("tf_efficientnet_b0 as torchvision's efficientnet_b0", "pads symmetrically, this one as TensorFlow"),
        ("resnet50 as pytorchcv's resnet50b", "which these are can't be known"),
        ("abl_resnet50 as pytorchcv's resnet50", "which these are can't be known"),
    ] {
        let network = foreign()?.into_iter().find(|n| n.title == title).ok_or(title)?;
        let message = refusal(&network.ours, &numbered(folder.path().join("x.safetensors"), &network.tensors)?)?;
        assert!(message.ends_with(reason), "{title}: {message}");
    }
    Ok(())
}

#[test]
fn weights_of_another_network_are_told_whose_they_are() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("x.safetensors");
    let message = refusal("seresnet50", &numbered(path.clone(), &network("legacy_seresnet50")?.tensors())?)?;
    assert!(message.ends_with("; these look like those of legacy_seresnet50"), "{message}");
    let theirs = foreign()?.into_iter().find(|n| n.title.ends_with("torchvision's efficientnet_b2")).ok_or("b2")?;
    let message = refusal("seresnet50", &numbered(path.clone(), &theirs.tensors)?)?;
    assert!(message.ends_with("; these look like those of efficientnet_b2"), "{message}");
    let fewer = zoo::Options { size: None, classes: Some(7) };
    let message = refusal("seresnet50", &numbered(path, &zoo::build("seresnet50", &fewer)?.tensors())?)?;
    assert!(message.contains("all fits but fc, which has 7 classes and not 1000"), "{message}");
    assert!(message.contains("`--classes 7`") && !message.contains("look like"), "{message}");
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
