"""Mask2Former gives transformers' own logits and label maps; its loss is theirs over labelled pixels."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")
pytest.importorskip("transformers", reason="transformers is not installed here; environment A has it")

from mask2former_tiny import LABELS, OPTIONS, inner, varied  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812
from transformers.models.mask2former import modeling_mask2former as modeling  # noqa: E402

from mhpmodels.networks.mask2former.loss import layer_loss, match, values_at  # noqa: E402
from mhpmodels.networks.mask2former.network import Mask2Former  # noqa: E402
from mhpmodels.networks.mask2former.scores import OVERLAP, person_maps  # noqa: E402
from mhpmodels.networks.mask2former.targets import Layer, targets_of  # noqa: E402

SIZE = 64


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = Mask2Former(inner(), LABELS, LABELS)
    varied(network.class_predictor, network.transformer_module.decoder)
    return network


def drawn(seed=0, count=2, size=SIZE):
    """Return images, labels with a border of unlabelled pixels, and the masks of two persons."""
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.normal(size=(count, 3, size, size)).astype(np.float32))
    labels = torch.zeros((count, size, size), dtype=torch.int64)
    persons = torch.zeros((count, 3, size, size), dtype=torch.uint8)
    labels[:, 8:40, 4:30], labels[:, 20:56, 30:60] = 1, 2
    persons[:, 0, 8:40, 4:30], persons[:, 1, 20:56, 26:60] = 1, 2
    labels[:, -6:] = 255
    persons[:, :2, -6:] = 255
    return images, labels, persons


def copy_of(network):
    """Return transformers' own model with the network's weights."""
    theirs = inner()
    names = {"encoder": "model.pixel_level_module.encoder", "decoder": "model.pixel_level_module.decoder"}
    names |= {"transformer_module": "model.transformer_module", "class_predictor": "class_predictor"}
    given = {name.partition(".")[::2]: tensor for name, tensor in network.state_dict().items()}
    given = {f"{names[child]}.{name}": tensor for (child, name), tensor in given.items()}
    found = theirs.load_state_dict(given, strict=False)
    assert found.missing_keys == ["criterion.empty_weight"] and not found.unexpected_keys
    return theirs.eval()


@pytest.mark.parametrize("size", [(64, 96), (384, 384)])
def test_labels_are_those_of_transformers(network, size):
    from transformers import Mask2FormerImageProcessorPil

    torch.manual_seed(1)
    images, theirs = torch.randn(1, 3, *size), copy_of(network)
    network.train()
    with torch.no_grad():
        expected = theirs(images, output_auxiliary_logits=True)
        layers = network(images)
        (scores,), maps = network.eval()(images)
    assert len(layers) == OPTIONS["decoder_layers"] == 1 + len(expected.auxiliary_logits)
    for layer, wanted in zip(layers, [*expected.auxiliary_logits, expected], strict=True):
        torch.testing.assert_close(layer.classes, wanted["class_queries_logits"])
        torch.testing.assert_close(layer.masks, wanted["masks_queries_logits"])
    assert scores.shape == (1, LABELS, *size) and maps.shape == (1, 2, *size)
    if size != (384, 384):  # transformers' semantic inference is at this size
        return
    every = Mask2Former(inner(), LABELS + 1, None).eval()
    every.load_state_dict(network.state_dict())
    with torch.no_grad():
        (scores,), maps = every(images)
    assert not maps.any(), "no class of persons"
    (segments,) = Mask2FormerImageProcessorPil().post_process_semantic_segmentation(expected)
    assert len(segments.unique()) > 1
    assert torch.equal(scores[0].argmax(0), segments)


def test_targets_are_labels_and_whole_persons():
    _, labels, persons = drawn()
    found = targets_of(labels[0], persons[0], LABELS)
    assert found.classes.tolist() == [0, 1, 2, LABELS, LABELS], "a person without pixels has no target"
    assert found.size == (SIZE, SIZE) and len(found.labelled) == SIZE * (SIZE - 6)
    masks = found.masks.view(-1, SIZE, SIZE)
    assert torch.equal(masks[1], labels[0] == 1)
    assert masks[3].sum() == 32 * 26 and masks[4].sum() == 36 * 34, "also where the other person owns the pixel"
    assert not masks[:, -6:].any()
    assert targets_of(labels[0], None, LABELS).classes.tolist() == [0, 1, 2]
    nothing = targets_of(torch.full((8, 8), 255), None, LABELS)
    assert not len(nothing.classes) and not len(nothing.labelled)


def test_the_loss_is_that_of_transformers_where_points_do_not_matter(network, monkeypatch):
    """With masks and logits that are constant over the image, the loss does not depend on the points.

    transformers interpolates with 0 outside the image, which is neither the mask nor what inference does.
    """
    monkeypatch.setattr(modeling, "sample_point", partial(modeling.sample_point, padding_mode="border"))
    torch.manual_seed(2)
    config = network.config
    classes = torch.randn(2, 12, LABELS + 2)
    masks = torch.randn(2, 12, 1, 1).expand(-1, -1, 8, 8)
    labels = torch.stack([torch.full((16, 16), 2), torch.zeros((16, 16), dtype=torch.int64)])
    persons = torch.ones((2, 2, 16, 16), dtype=torch.uint8)
    targets = [targets_of(*image, LABELS) for image in zip(labels, persons, strict=True)]
    assert sum(len(t.classes) for t in targets) == 6
    amounts = network.amounts(labels, persons).tolist()
    assert amounts == pytest.approx([6.0, 6 + 0.1 * 18])
    found = layer_loss(Layer(classes, masks), targets, network._weights, amounts, config)
    weights = {"loss_cross_entropy": 2.0, "loss_mask": 5.0, "loss_dice": 5.0}
    wanted = [t.masks.view(-1, 16, 16).float() for t in targets]
    theirs = modeling.Mask2FormerLoss(config, weights)(masks, classes, wanted, [t.classes for t in targets])
    assert found.item() == pytest.approx(sum(weights[k] * v.item() for k, v in theirs.items()), rel=1e-5)


def test_the_loss_looks_at_labelled_pixels_only(network):
    images, labels, persons = drawn()
    network.train()
    layer = Layer(*(x.detach().requires_grad_() for x in network(images)[-1]))
    amounts = network.amounts(labels, persons).tolist()

    def loss(outputs):
        torch.manual_seed(3)
        return network.loss(outputs, labels, persons, amounts)

    first = loss((layer,))
    first.backward()
    gradient = layer.masks.grad
    assert gradient[:, :, :-3].any() and not gradient[:, :, -1:].any(), (
        "the last row of logits reaches no labelled pixel"
    )
    with torch.no_grad():
        changed = layer.masks.clone()
        changed[:, :, -1:] += 100
        persons[:, :2, -6:] = 7  # what is said about unlabelled pixels
        assert loss((Layer(layer.classes, changed),)).item() == first.item()
        torch.manual_seed(4)
        assert network.loss((layer,), labels, persons, amounts).item() != first.item()
        unlabelled = network.loss((layer,), torch.full_like(labels, 255), persons, [0.0, 2.4])
    assert torch.isfinite(unlabelled)


def test_queries_are_matched_at_the_lowest_cost(network):
    labels, config = torch.zeros((16, 16), dtype=torch.int64), network.config
    labels[:, 8:], labels[8:, 8:] = 1, 3
    targets = targets_of(labels, None, LABELS)
    masks, classes = torch.full((6, 16, 16), -9.0), torch.zeros(6, LABELS + 2)
    for query, label in ((4, 0), (2, 1), (5, 3)):
        masks[query][labels == label], classes[query, label] = 9.0, 5.0
    torch.manual_seed(0)
    queries, matches = match(classes, masks, targets, config)
    assert dict(zip(queries.tolist(), targets.classes[matches].tolist(), strict=True)) == {4: 0, 2: 1, 5: 3}
    few = match(classes[:2], masks[:2], targets, config)
    assert [len(x) for x in few] == [2, 2], "more masks than queries"
    match(classes, masks * np.nan, targets, config)  # the step is rolled back, not ended by an exception


def test_values_are_those_of_the_enlarged_masks():
    masks = torch.randn(2, 3, 4)
    large = F.interpolate(masks[None], (9, 16), mode="bilinear", align_corners=False)[0]
    places = torch.arange(9 * 16).expand(2, -1)
    torch.testing.assert_close(values_at(masks, places, (9, 16)), large.flatten(1))


def test_amounts_add_up(network):
    _, labels, persons = drawn(count=3)
    labels[1], persons[2] = 0, 0
    whole = network.amounts(labels, persons)
    parts = [network.amounts(labels[i : i + 1], persons[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(whole, torch.stack(parts).sum(0))
    weighted = Mask2Former(inner(), LABELS, LABELS, (1.0, 2.0, 3.0, 4.0))
    torch.testing.assert_close(weighted.amounts(labels[:1], None)[1].item(), 1 + 2 + 3 + 0.1 * 9)


def test_persons_own_pixels_by_score_and_mask():
    masks = torch.full((5, 8, 8), -8.0)
    masks[0, :, :4] = 8.0
    masks[1, :, 3:7] = 2.0
    masks[2, :, :4] = 6.0  # the first one again
    masks[3, :, 7:] = 8.0  # no person
    probability = torch.tensor([0.9, 0.8, 0.7, 0.1, 0.9])
    maps = person_maps(probability, masks, (8, 8))
    first = 0.9 * torch.sigmoid(torch.tensor(8.0))
    second = 0.8 * torch.sigmoid(torch.tensor(2.0))
    assert maps[0, 0].tolist() == [1, 1, 1, 1, 2, 2, 2, 0]
    torch.testing.assert_close(maps[1, 5], torch.stack([first] * 4 + [second] * 3 + [0 * first]))
    large = person_maps(probability, masks, (16, 24))
    assert large.shape == (2, 16, 24) and large[0].unique().tolist() == [0, 1, 2]
    assert not person_maps(torch.zeros(5), masks, (8, 8)).any()
    masks[2, :, 1:6] = 6.0
    masks[2, :, :1] = -8.0  # an IoU of 1/2 with the first is no more than OVERLAP
    assert OVERLAP == 0.5 and len(person_maps(probability, masks, (8, 8))[0].unique()) == 4


def test_masks_without_a_query_do_not_count(network):
    queries, labels = network.config.num_queries, torch.zeros(2, 16, 16, dtype=torch.int64)
    persons = torch.zeros(2, queries + 3, 16, 16, dtype=torch.uint8)
    persons[0, :, 0, 0] = 1
    amounts = network.amounts(labels, persons)
    torch.testing.assert_close(amounts.tolist(), [queries + 1.0, queries + 1 + 0.1 * (queries - 1)])
