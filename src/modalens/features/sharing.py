"""Share trained features through the Hugging Face hub, with a card that says how they were trained."""

from pathlib import Path
from tempfile import TemporaryDirectory

from modalens.errors import ModalensError
from modalens.features.base import FeatureModel
from modalens.features.card import CARD_NAME, model_card, read_log
from modalens.features.config import CONFIG_NAME
from modalens.features.loading import load_features
from modalens.features.sae import SparseAutoencoder
from modalens.features.saelens import save_saelens
from modalens.hub_errors import hub_sentences
from modalens.store import EmbeddingStore
from modalens.towers.hub import download

SAELENS_FOLDER = "saelens"


def push_to_hub(
    features: str | Path | FeatureModel,
    repo_id: str,
    *,
    embeddings: EmbeddingStore | None = None,
    saelens: bool = False,
    private: bool = False,
    token: str | None = None,
) -> str:
    """Upload weights, configuration and a model card; what a stopped run would need stays here.

    Parameters
    ----------
    features
        Folder of a training run, whose log goes into the card, or a model in memory.
    repo_id
        ``owner/name`` on the hub; made if it does not exist.
    embeddings
        What the features were trained on, for the card.
    saelens
        Add a folder ``saelens`` that SAELens opens (see :func:`modalens.features.saelens.save_saelens`).
    private
        Whether a new repository is private.
    token
        Access token; by default the one that ``hf auth login`` keeps.

    Returns
    -------
    str
        Address of the commit.

    Raises
    ------
    ModalensError
        If the folder holds no features, SAELens cannot hold them, or the hub refuses or cannot be reached.
    """
    import huggingface_hub

    if isinstance(features, FeatureModel):
        model, log = features, []
    else:
        model, log = load_features(features), read_log(Path(features))
    with TemporaryDirectory() as staging:
        folder = Path(staging)
        model.save(folder)
        if saelens:
            if not isinstance(model, SparseAutoencoder):
                raise ModalensError(
                    f"SAELens knows sparse autoencoders alone; share this {type(model).__name__} without saelens."
                )
            save_saelens(model, folder / SAELENS_FOLDER)
        card = model_card(model, repo_id, log, embeddings, SAELENS_FOLDER if saelens else None)
        (folder / CARD_NAME).write_text(card, encoding="utf-8")
        with hub_sentences(repo_id, "repository", writing=True):
            hub = huggingface_hub.HfApi(token=token)
            hub.create_repo(repo_id, private=private, exist_ok=True)
            commit = hub.upload_folder(
                repo_id=repo_id, folder_path=folder, commit_message=f"Upload {model!r}"
            )
    return str(commit.commit_url)


def from_pretrained(
    name: str | Path, *, revision: str | None = None, token: str | None = None
) -> FeatureModel:
    """Load features from a folder or from the hub; the class is that of what is saved there.

    Parameters
    ----------
    name
        A folder that a model was saved to, or ``owner/name`` on the hub.
    revision
        Branch, tag or commit on the hub.
    token
        Access token; by default the one that ``hf auth login`` keeps.

    Raises
    ------
    ModalensError
        If there are no features under this name, or the hub refuses or cannot be reached.
    """
    if Path(name).is_dir():
        return load_features(name)
    folder = download(str(name), revision, [CONFIG_NAME, "*.safetensors"], what="repository", token=token)
    return load_features(folder)
