//! Rows times texts: the cosines of stored embeddings, in integers as far as that goes.
//!
//! The inner loop is plain; the compiler makes vector code of it, for the processor that it runs
//! on. Pure.

use pulp::{Arch, Simd, WithSimd};

use super::format::{Head, ROW_HEAD, RowHead};
use crate::model::Embedding;

/// What rows are compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    exact: Vec<f32>,
    values: Vec<i16>,
    /// `values` times this is `exact`, nearly.
    scale: f32,
}

impl Query {
    /// Of a text's (or a picture's) embedding of unit length.
    pub fn new(embedding: &Embedding) -> Self {
        let exact = embedding.0.clone();
        let largest = exact.iter().fold(f32::MIN_POSITIVE, |largest, v| largest.max(v.abs()));
        // As fine as leaves the sum of products with values of 127 at most within 32 bits.
        let dim = u32::try_from(exact.len()).unwrap_or(u32::MAX).max(1);
        let most = (0x7fff_ffff / (128 * u64::from(dim))).min(0x7fff) as f32;
        let scale = largest / most;
        let values = exact.iter().map(|value| (value / scale).round() as i16).collect();
        Self { exact, values, scale }
    }

    /// How many values it has.
    pub fn dim(&self) -> usize {
        self.exact.len()
    }
}

/// Queries, made ready for the rows of one file.
pub struct Product<'a> {
    queries: &'a [Query],
    /// Of each query with the file's base.
    bases: Vec<f32>,
    row_length: usize,
}

impl<'a> Product<'a> {
    /// `None` when a query is of another dimension than the file.
    pub fn new(head: &Head, queries: &'a [Query]) -> Option<Self> {
        if queries.iter().any(|query| query.dim() != head.base.len()) {
            return None;
        }
        let with_base =
            |query: &Query| query.exact.iter().zip(&head.base).map(|(a, b)| a * b).sum();
        let bases = queries.iter().map(with_base).collect();
        Some(Self { queries, bases, row_length: head.row_length() })
    }

    /// The cosines of whole `rows`, as many for each row as there are queries.
    pub fn cosines(&self, rows: &[u8], out: &mut Vec<f32>) {
        out.clear();
        Arch::new().dispatch(Rows { product: self, rows, out });
    }
}

struct Rows<'a> {
    product: &'a Product<'a>,
    rows: &'a [u8],
    out: &'a mut Vec<f32>,
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Product { queries, bases, row_length } = self.product;
        for row in self.rows.chunks_exact(*row_length) {
            let (scale, values) = (RowHead::scale(row), &row[ROW_HEAD..]);
            for (query, base) in queries.iter().zip(bases) {
                let sum = sum(values, &query.values) as f32;
                self.out.push(sum * (scale * query.scale) + base);
            }
        }
    }
}

#[inline(always)]
fn sum(values: &[u8], query: &[i16]) -> i32 {
    let product = |(a, b): (&u8, &i16)| i32::from(a.cast_signed()) * i32::from(*b);
    values.iter().zip(query).map(product).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::normalise;
    use crate::model::{CameraId, WallTime};

    fn unit(random: &mut fastrand::Rng, dim: usize) -> Embedding {
        let mut values: Vec<f32> = (0..dim).map(|_| random.f32() - 0.5).collect();
        assert!(normalise(&mut values));
        Embedding(values)
    }

    #[test]
    fn cosines_are_those_of_the_embeddings() {
        let mut random = fastrand::Rng::with_seed(5);
        for (dim, rows, queries) in [(1, 1, 1), (7, 3, 2), (384, 9, 3), (512, 5, 1), (4096, 2, 2)] {
            let camera = CameraId::try_new("yard").unwrap();
            let base = unit(&mut random, dim).0;
            let head = Head { camera, bundle: String::new(), digest: String::new(), base };
            let texts: Vec<_> = (0..queries).map(|_| unit(&mut random, dim)).collect();
            let seen: Vec<_> = (0..rows).map(|_| unit(&mut random, dim)).collect();
            let mut bytes = Vec::new();
            for embedding in &seen {
                let row = RowHead { time: WallTime(1.0), tile: 0, tiles: 0, picture: 0 };
                head.put_row(row, embedding, &mut bytes);
            }
            let queries: Vec<Query> = texts.iter().map(Query::new).collect();
            let mut found = Vec::new();
            Product::new(&head, &queries).unwrap().cosines(&bytes, &mut found);
            assert_eq!(found.len(), rows * texts.len());
            let length = head.row_length();
            for (found, (row, bytes)) in
                found.chunks(texts.len()).zip(seen.iter().zip(bytes.chunks(length)))
            {
                for (found, text) in found.iter().zip(&texts) {
                    let exact: f32 = row.0.iter().zip(&text.0).map(|(a, b)| a * b).sum();
                    // Each value is off by half a step at most.
                    let sum: f32 = text.0.iter().map(|value| value.abs()).sum();
                    let most = sum * RowHead::scale(bytes) / 2.0 + 1e-4;
                    assert!((found - exact).abs() < most, "{dim}: {found} {exact} {most}");
                    // What is read back has the very same cosine, but for the text's own rounding.
                    let kept = head.embedding(bytes).0;
                    let again: f32 = kept.iter().zip(&text.0).map(|(a, b)| a * b).sum();
                    assert!((found - again).abs() < 1e-4, "{dim}: {found} {again}");
                }
            }
        }
    }

    /// The largest sum that can be: every value as far out as it goes.
    #[test]
    fn sums_do_not_overflow() {
        for dim in [512, 4096, 65_535] {
            let level = 1.0 / (dim as f32).sqrt();
            let query = Query::new(&Embedding(vec![level; dim]));
            let camera = CameraId::try_new("yard").unwrap();
            let base = vec![0.0; dim];
            let head = Head { camera, bundle: String::new(), digest: String::new(), base };
            let (row, mut bytes) =
                (RowHead { time: WallTime(1.0), tile: 0, tiles: 0, picture: 0 }, Vec::new());
            head.put_row(row, &Embedding(vec![-level; dim]), &mut bytes);
            let mut found = Vec::new();
            let query = [query];
            Product::new(&head, &query).unwrap().cosines(&bytes, &mut found);
            assert!((found[0] + 1.0).abs() < 0.01, "{dim}: {found:?}");
        }
    }

    #[test]
    fn other_dimensions_are_not_compared() {
        let camera = CameraId::try_new("yard").unwrap();
        let base = vec![0.0; 4];
        let head = Head { camera, bundle: String::new(), digest: String::new(), base };
        assert!(Product::new(&head, &[Query::new(&Embedding(vec![1.0; 3]))]).is_none());
    }
}
