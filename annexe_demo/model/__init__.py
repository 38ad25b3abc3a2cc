"""The network: knows neither files of photos nor the page."""

from .annexe import AnnexeConfig, AnnexeModel

__all__ = ["AnnexeConfig", "AnnexeModel"]
