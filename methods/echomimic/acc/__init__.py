"""EchoMimic Acc: EchoMimic in six steps without guidance, by a denoising network that was taught to."""
