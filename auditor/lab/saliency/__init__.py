"""What a network's decision rests on: Grad-CAM maps measured against shuffled ones, over sources and classes."""
