// No cooperative matrices: `axis/product/fma.wgsl` computes the products.
