"""Which weights of the anatomy network learn, and how fast; the others stay as they started."""

from typing import TYPE_CHECKING

from models.anatomy.network import EXTRA_HEADS, AnatomyPerception, ApmConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    Groups = list[dict[str, object]]
    """Parameters with their top rates, as an optimiser takes them."""


FINEST = "pyramid.up2.weight"  # as long as the fused map at stride 2 has channels


def network_of(weights: "dict[str, Tensor]") -> AnatomyPerception:
    """Return the miniature with these weights, the heads and the finest map they are of.

    Raises
    ------
    RuntimeError
        If anything outside the heads is missing, or anything is left over.
    """
    parts = [name.removeprefix("heads.").removeprefix("by_name.") for name in weights]
    known = {part.split(".")[0] for part in parts} | {"spread"}  # which has no weights
    heads = tuple(head for head in EXTRA_HEADS if head in known)
    fine = len(weights[FINEST])
    network = AnatomyPerception(ApmConfig(extra_heads=heads, fine_dim=fine))
    network.load_state_dict(weights)
    return network


def adopt(network: "AnatomyPerception", weights: "dict[str, Tensor]") -> list[str]:
    """Take over an earlier run's weights; returns the parts of heads it did not have.

    Raises
    ------
    RuntimeError
        If anything outside the heads is missing, or anything is left over.
    """
    missing, surplus = network.load_state_dict(weights, strict=False)
    absent = [str(name) for name in missing]
    if surplus or not all(name.startswith("heads.") for name in absent):
        raise RuntimeError(f"not the same network: missing {absent}, surplus {surplus}")
    return absent


def all_but_first(
    network: "AnatomyPerception", words: "nn.Module", blocks: int, rates: tuple[float, float]
) -> "tuple[Groups, list[nn.Module]]":
    """Hold the convolutions' first ``blocks`` still; ``rates`` are of the convolutions, the rest.

    Returns the parameters that learn and the modules that do not, whose running statistics are to
    stay as well.
    """
    body = network.body
    frozen: list[nn.Module] = [body.stem, body.norm, *body.blocks[:blocks]]
    still = {id(p) for module in frozen for p in module.parameters()}
    for module in frozen:
        module.requires_grad_(requires_grad=False)
    own = {id(p) for p in body.parameters()}
    rest = [p for p in (*network.parameters(), *words.parameters()) if id(p) not in own]
    moving = [p for p in body.parameters() if id(p) not in still]
    pairs = zip((moving, rest), rates, strict=True)
    return [{"params": params, "lr": rate, "top": rate} for params, rate in pairs], frozen


def one_head(
    network: "AnatomyPerception", words: "nn.Module", head: str, rate: float
) -> "tuple[Groups, list[nn.Module]]":
    """Let one head learn alone, see :data:`models.anatomy.heads.OF_THEIR_OWN`.

    Returns its parameters, and the modules that do not learn.
    """
    for module in (network, words):
        module.requires_grad_(requires_grad=False)
    learning = list(network.heads.module_of(head).parameters())
    for parameter in learning:
        parameter.requires_grad_()
    frozen = [part for part in network.children() if part is not network.heads]
    return [{"params": learning, "lr": rate, "top": rate}], frozen
