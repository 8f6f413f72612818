//! From a screen to profiles: tiling, batching, pooling
