"""PConvUNet, VGG16 features and the losses, written once on ``keras.ops``."""
