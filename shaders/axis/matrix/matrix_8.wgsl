// Cooperative matrices of 8 by 8: half precision in, sums in f32.
const MATRIX: u32 = 8u;
alias MatrixA = coop_mat8x8<f16, A>;
alias MatrixB = coop_mat8x8<f16, B>;
alias MatrixC = coop_mat8x8<f32, C>;
