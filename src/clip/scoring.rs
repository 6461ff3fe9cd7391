//! stub
use ndarray::ArrayView2;
use crate::model::Embedding;
use crate::watch::ScoreKind;
pub struct LabelScore { pub cosine: f32, pub logit: f32, pub probability: f32 }
pub fn score(_e:&Embedding,_m:ArrayView2<'_,f32>,_k:ScoreKind,_s:f32,_b:f32)->Vec<LabelScore>{vec![]}
