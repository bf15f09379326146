"""The CaC TFC-TDF U-Net."""
