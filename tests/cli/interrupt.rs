//! Ctrl-C ends at once, and leaves a whole file or none.

use crate::Case;

pub const CASES: &[Case] = &[
    #[cfg(unix)]
    Case::on_gpu("run/interrupted", unix::interrupted),
    #[cfg(unix)]
    Case::on_gpu("classify/interrupted", unix::classify_interrupted),
];

#[cfg(unix)]
mod unix {
    use crate::program::{Folder, program};
    use excite::Tensor;
    use excite::import::safetensors;
    use libtest_mimic::Failed;
    use rustix::process::{Pid, Signal, kill_process};
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::process::ExitStatusExt;
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    /// Interrupts a long run after its first line: whole lines come out, and no more than were on the way.
    pub fn classify_interrupted() -> Result<(), Failed> {
        const IMAGES: usize = 5000;
        let images = vec!["assets/digits/digit_3_2.png"; IMAGES];
        let mut command = program();
        command.args(["classify", "--jsonl"]).args(images).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut text = String::new();
        output.read_line(&mut text)?;
        kill_process(Pid::from_child(&child), Signal::INT)?;
        let start = Instant::now();
        output.read_to_string(&mut text)?;
        assert_eq!(child.wait()?.code(), Some(130));
        assert!(start.elapsed() < Duration::from_secs(5), "took {:?} to end", start.elapsed());
        assert!((1..IMAGES).contains(&text.lines().count()), "{} lines", text.lines().count());
        for line in text.lines() {
            assert_eq!(serde_json::from_str::<serde_json::Value>(line)?["classes"][0]["label"], "3");
        }
        Ok(())
    }

    /// Interrupts runs at all times, among them the moment in which a part of the file is there.
    pub fn interrupted() -> Result<(), Failed> {
        let folder = Folder::new()?;
        let images = Tensor::from_fn([64, 1, 8, 8], |i| (i * 37 % 256) as f32 / 255.0);
        let input = folder.tensors("in.safetensors", &[("input", images)])?;
        let output = folder.path("out.safetensors");
        let args = ["run", "digits", "--gates", "--input", &input, "--output", &output];
        let start = Instant::now();
        assert!(program().args(args).stderr(Stdio::null()).status()?.success());
        let whole = start.elapsed();
        for round in 0..12 {
            let _ = std::fs::remove_file(&output);
            let mut child = program().args(args).stderr(Stdio::null()).spawn()?;
            let start = Instant::now();
            // The last rounds wait until a file appears beside the input, whatever its name.
            let waits = |elapsed: Duration| match round {
                0..6 => elapsed < whole * round / 5,
                _ => elapsed < whole * 4,
            };
            while waits(start.elapsed()) && child.try_wait()?.is_none() && (round < 6 || folder.names()?.len() == 1) {
                std::thread::yield_now();
            }
            // Gone where the program has ended by itself.
            let _ = kill_process(Pid::from_child(&child), Signal::INT);
            let status = child.wait()?;
            // Before the program is up, the signal ends it.
            assert!(matches!((status.code(), status.signal()), (Some(0 | 130), _) | (_, Some(2))), "{status}");
            match folder.names()?.as_slice() {
                [_] => {}
                [_, file] if file == "out.safetensors" => assert_eq!(safetensors::read(&output)?.len(), 5),
                names => return Err(format!("a run that was interrupted left {names:?}").into()),
            }
        }
        Ok(())
    }
}
