//! Objectives, optimiser, checkpoints and the training loop
