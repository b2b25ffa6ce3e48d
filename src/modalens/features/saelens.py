"""Write a sparse autoencoder as SAELens keeps one, so that its tools open it."""

from pathlib import Path

from safetensors.torch import save_file

from modalens.errors import ModalensError
from modalens.features.sae import BatchTopKSAE, SparseAutoencoder
from modalens.features.separate import SeparateSAE
from modalens.store.atomic import whole_file, write_json
from modalens.version import __version__

WEIGHTS_NAME = "sae_weights.safetensors"
CONFIG_NAME = "cfg.json"


def save_saelens(sae: SparseAutoencoder, folder: str | Path, modality: str | None = None) -> Path:
    """Write an autoencoder for ``sae_lens.SAE.load_from_disk``, which then encodes and decodes as ours does.

    SAELens knows one bias and no standardiser, so b_dec = b_pre * scale + mean, W_enc is divided and W_dec
    multiplied by the scale; without a standardiser nothing changes but the orientation of W_enc, (d, f) there.
    What differs is the order of rounding. BatchTopK, in use a threshold, becomes their ``jumprelu``; every
    other kind is their ``topk``.

    Parameters
    ----------
    sae
        A trained autoencoder.
    folder
        Where ``cfg.json`` and ``sae_weights.safetensors`` go.
    modality
        ``image`` or ``text``; needed where each modality is standardised on its own, since a file of theirs
        holds one of the two.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModalensError
        If the modality is missing or unknown, or the features are no linear encoder's, which SAELens knows alone.
    """
    if sae.config.kind == "nmf":
        raise ModalensError(
            "SAELens has no features whose codes are solved for, as those of NMF are; share another kind."
        )
    if isinstance(sae, SeparateSAE):
        sae = sae.side(modality)
    folder = Path(folder)
    mean, scale = (part.cpu() for part in sae.standardiser(modality))
    tensors = {
        "W_enc": (sae.W_enc.cpu() / scale).T.contiguous(),
        "W_dec": sae.W_dec.cpu() * scale,
        "b_enc": sae.b_enc.cpu().clone(),
        "b_dec": sae.b_pre.cpu() * scale + mean,
    }
    config = {
        "architecture": "topk",
        "d_in": sae.config.d,
        "d_sae": sae.config.n_features,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"modalens": __version__, "kind": sae.config.kind, "modality": modality},
    }
    if isinstance(sae, BatchTopKSAE):
        config["architecture"] = "jumprelu"
        tensors["threshold"] = sae.threshold.cpu().expand(sae.config.n_features).contiguous()
    else:
        config |= {"k": sae.config.k, "rescale_acts_by_decoder_norm": False}
    with whole_file(folder / WEIGHTS_NAME) as partial:
        save_file(tensors, partial)
    write_json(folder / CONFIG_NAME, config)
    return folder
