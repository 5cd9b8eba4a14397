use excite::*;
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) * 10.0
}
pub fn probe() {
    for a in adapters().into_iter().take(1) {
        for checks in [false] {
            let gpu = Gpu::open(&GpuOptions { device: Some(a.index.to_string()), shader_checks: Some(checks) }).unwrap();
            for (c, r, side, form, batch) in [(256, 16, 1, SeForm::Excite, 8), (512, 32, 1, SeForm::Excite, 8), (256, 16, 14, SeForm::Block, 8), (512, 32, 7, SeForm::Block, 8), (64, 4, 7, SeForm::Block, 64)] {
                let mut g = GraphBuilder::new("g"); let x = g.input(Shape::map(c, side, side)).unwrap(); let y = g.squeeze_excite("c", x, SqueezeExcite::new(r)).unwrap(); let graph = g.finish(&[("y", y)]).unwrap();
                let plan = PlanOptions { se: Some(form), ..Default::default() };
                let input = Tensor::from_fn(graph.input_shape().with_batch(batch), |i| (i as f32 * 0.37).sin());
                let e = Executor::new(&gpu, &graph, &Weights::seeded(1, 1.0), ExecutorOptions { plan, guard: false }).unwrap();
                let t1 = cpu();
                e.run(&input).unwrap();
                let t2 = cpu();
                let mut walls = vec![];
                for _ in 0..40 {
                let mut enc = gpu.device().create_command_encoder(&Default::default());
                for _ in 0..20 { e.encode_dispatches(&mut enc, batch).unwrap(); }
                let w = std::time::Instant::now();
                let i = gpu.queue().submit([enc.finish()]);
                gpu.device().poll(wgpu::PollType::Wait { submission_index: Some(i), timeout: None }).unwrap();
                walls.push(w.elapsed().as_secs_f64() * 1e3 / 20.0);
                }
                walls.sort_by(|a, b| a.total_cmp(b));
                println!("  se {form:?} {c} {r} {side}: first {:6.1} ms cpu, 800 again {:6.1} ms cpu, wall min {:.4} median {:.4}", t2 - t1, cpu() - t2, walls[0], walls[20]);
            }
        }
    }
}
