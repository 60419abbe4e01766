"""export: trained models for people who only use them: ONNX, int8, torch.export, a class and a command.

What a user imports is ``from timbre import SpeakerModel``.
"""
