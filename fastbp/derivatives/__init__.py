"""Derivatives of a net for optimisers and sciences: what `MLP.loss_and_grad` and others return."""
