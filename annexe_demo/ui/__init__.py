"""The page in the browser. Importing it builds no model and brings no torch."""

from annexe_demo.ui.interface import build_interface, launch_options

__all__ = ["build_interface", "launch_options"]
