"""What a network looked at: Grad-CAM maps, how much they explain, and overlays for people."""
