"""Scores a batch on the device that the environment names; with DEVICE=cpu the CUDA build is dead weight."""

import os

import torch


def main() -> None:
    """Print the mean of a small matrix product and where it was computed."""
    device = torch.device(os.environ.get("DEVICE", "cpu"))
    batch = torch.ones(64, 64, device=device)
    print(f"{(batch @ batch).mean().item()} on {device}")


if __name__ == "__main__":
    main()
