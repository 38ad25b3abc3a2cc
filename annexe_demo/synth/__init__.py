"""The project's own generator of first-person hand-object scenes with exact ground truth.

``python -m annexe_demo.synth --count N --seed S --out DIR`` writes them in the benchmark's layout.
"""
