"""The only place with nn.Module: encoders, connectors, language models, and what they are made of."""
