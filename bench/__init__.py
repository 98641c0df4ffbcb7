"""Benchmarks of posenc; README.md here says which file answers which question."""
