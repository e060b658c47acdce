"""Layers put into a pretrained language model, which read rows beside the sequence."""
