"""What a dictionary makes of labels: sparse probes, splitting and absorption, targeted perturbation, alignment."""
