//! Many labels times a few pictures, each label's values read once.
//!
//! What a general matrix product does first, copying the large matrix into blocks, costs more here than
//! the product. This one goes through the labels a few rows at a time and keeps the sums of all
//! pictures in registers; the compiler makes vector code of it, for the processor that it runs on.

use pulp::{Arch, Simd, WithSimd};

/// Rows at once: with more the sums do not fit into the registers of AVX2.
const ROWS: usize = 6;

/// The product of each of `pictures` with each row of `matrix`, which has `dim` columns.
pub(super) fn product(pictures: &[&[f32]], matrix: &[f32], dim: usize) -> Vec<Vec<f32>> {
    let rows = matrix.len().checked_div(dim).unwrap_or(0);
    let mut products = vec![vec![0.0; rows]; pictures.len()];
    let arch = Arch::new();
    for (pictures, products) in pictures.chunks(16).zip(products.chunks_mut(16)) {
        // Lanes without a picture cost as much as the others.
        if pictures.len() <= 4 {
            arch.dispatch(Product::<4> { lanes: lanes(pictures, dim), matrix, products });
        } else {
            arch.dispatch(Product::<16> { lanes: lanes(pictures, dim), matrix, products });
        }
    }
    products
}

/// The pictures' values side by side; zeros where there are no more pictures.
fn lanes<const LANES: usize>(pictures: &[&[f32]], dim: usize) -> Vec<[f32; LANES]> {
    let value = |picture: usize, column: usize| pictures.get(picture).map_or(0.0, |p| p[column]);
    (0..dim).map(|column| std::array::from_fn(|picture| value(picture, column))).collect()
}

struct Product<'a, const LANES: usize> {
    lanes: Vec<[f32; LANES]>,
    matrix: &'a [f32],
    products: &'a mut [Vec<f32>],
}

impl<const LANES: usize> WithSimd for Product<'_, LANES> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let dim = self.lanes.len().max(1);
        let blocks = self.matrix.chunks_exact(dim * ROWS);
        let (whole, rest) = (blocks.len() * ROWS, blocks.remainder());
        for (block, values) in blocks.enumerate() {
            keep(self.products, block * ROWS, &sums::<S, LANES, ROWS>(&self.lanes, values));
        }
        for (row, values) in rest.chunks_exact(dim).enumerate() {
            keep(self.products, whole + row, &sums::<S, LANES, 1>(&self.lanes, values));
        }
    }
}

/// The products of `N` rows, which lie behind each other in `values`.
#[inline(always)]
fn sums<S: Simd, const LANES: usize, const N: usize>(
    lanes: &[[f32; LANES]],
    values: &[f32],
) -> [[f32; LANES]; N] {
    // Where there are no vectors there is no such instruction either, and what stands for it is slow.
    let fused = S::F32_LANES > 1;
    let dim = lanes.len();
    let rows: [&[f32]; N] = std::array::from_fn(|row| &values[row * dim..][..dim]);
    let mut sums = [[0.0_f32; LANES]; N];
    for (column, pictures) in lanes.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(rows) {
            for (sum, picture) in sums.iter_mut().zip(pictures) {
                *sum = match fused {
                    true => row[column].mul_add(*picture, *sum),
                    false => row[column] * picture + *sum,
                };
            }
        }
    }
    sums
}

#[inline(always)]
fn keep<const LANES: usize>(products: &mut [Vec<f32>], first: usize, sums: &[[f32; LANES]]) {
    for (picture, products) in products.iter_mut().enumerate() {
        for (product, sums) in products[first..].iter_mut().zip(sums) {
            *product = sums[picture];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_a_plain_sum() {
        let mut random = fastrand::Rng::with_seed(3);
        for (pictures, rows, dim) in [(1, 1, 1), (3, 5, 7), (4, 6, 384), (5, 13, 33), (17, 25, 8)] {
            let mut values =
                |count: usize| -> Vec<f32> { (0..count).map(|_| random.f32() - 0.5).collect() };
            let (pictures, matrix) = (values(pictures * dim), values(rows * dim));
            let pictures: Vec<&[f32]> = pictures.chunks(dim).collect();
            let found = product(&pictures, &matrix, dim);
            assert_eq!(found.len(), pictures.len());
            for (found, picture) in found.iter().zip(&pictures) {
                assert_eq!(found.len(), rows);
                for (found, row) in found.iter().zip(matrix.chunks(dim)) {
                    let wanted: f32 = picture.iter().zip(row).map(|(a, b)| a * b).sum();
                    assert!((found - wanted).abs() < 1e-5, "{found} {wanted}");
                }
            }
        }
    }

    #[test]
    fn nothing_times_nothing() {
        assert!(product(&[], &[1.0, 2.0], 2).is_empty());
        assert_eq!(product(&[&[1.0, 2.0]], &[], 2), [Vec::<f32>::new()]);
    }
}
