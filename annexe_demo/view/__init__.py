"""What a visitor sees: pure functions and small classes on NumPy arrays. No Gradio and no torch in here."""
