"""Wave-U-Net."""
