"""Tiny random pipelines of diffusers, saved as people save theirs."""

import torch


def _unet(**options):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=24,
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        norm_num_groups=4,
        **options,
    )


def _text_parts(clip):
    from diffusers import AutoencoderKL, DDIMScheduler
    from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModel

    tokenizer = AutoTokenizer.from_pretrained(clip, model_max_length=16)
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=24,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    # The scheduler of Stable Diffusion 2.
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
    )
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4)
    return {
        "vae": vae,
        "text_encoder": CLIPTextModel(config),
        "tokenizer": tokenizer,
        "scheduler": scheduler,
    }


def save_stable_diffusion(folder, clip):
    """A Stable Diffusion 2 whose tokenizer is that of a CLIP, with its own scheduler and text encoder."""
    from diffusers import StableDiffusionPipeline

    with torch.random.fork_rng():
        torch.manual_seed(0)
        StableDiffusionPipeline(  # type: ignore[attr-defined]
            **_text_parts(clip),
            unet=_unet(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        ).save_pretrained(folder)
    return folder


def save_unclip(folder, clip):
    """An unCLIP pipeline that takes image embeddings of 24 features."""
    from diffusers import DDPMScheduler, StableUnCLIPImg2ImgPipeline
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import (
        StableUnCLIPImageNormalizer,
    )
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModelWithProjection

    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=24,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        StableUnCLIPImg2ImgPipeline(  # type: ignore[attr-defined]
            **_text_parts(clip),
            feature_extractor=CLIPImageProcessorPil(),
            image_encoder=CLIPVisionModelWithProjection(vision),
            image_normalizer=StableUnCLIPImageNormalizer(24),
            image_noising_scheduler=DDPMScheduler(),
            unet=_unet(class_embed_type="projection", projection_class_embeddings_input_dim=48),
        ).save_pretrained(folder)
    return folder
