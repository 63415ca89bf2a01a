"""The rule of each operation, by its name; an operation without a rule pins all its axes."""

from trajmap.basins.unit_layers import (
    attended,
    convolved,
    embedded,
    gated,
    layer_normed,
    per_channel,
    pooled,
    product,
)
from trajmap.basins.unit_shapes import (
    expanded,
    extreme,
    filled,
    joined,
    ordered,
    pointwise,
    reduced,
    repeated,
    selected,
    sliced,
    split,
    stacked,
    turned,
    viewed,
)
from trajmap.basins.unit_trace import Rule

__all__ = ["RULES"]


def _table() -> dict[str, Rule]:
    by_rule: dict[Rule, str] = {
        pointwise: "clone detach alias _to_copy to lift_fresh contiguous copy_ _prelu_kernel _softmax _log_softmax "
        "_safe_softmax softmax log_softmax masked_fill dropout _weight_norm_interface",
        filled: "zeros ones full empty zeros_like ones_like full_like empty_like new_zeros new_ones new_full "
        "new_empty scalar_tensor fill_ zero_ empty_strided new_empty_strided",
        reduced: "sum mean var std amax amin logsumexp linalg_vector_norm norm var_mean std_mean prod any all",
        extreme: "max min argmax argmin",
        ordered: "flip roll cumsum cumprod sort topk tril triu",
        viewed: "view _unsafe_view reshape flatten unflatten unsqueeze squeeze _reshape_alias",
        turned: "permute transpose t",
        expanded: "expand",
        repeated: "repeat",
        joined: "cat",
        stacked: "stack",
        selected: "select unbind",
        sliced: "slice narrow",
        split: "split unsafe_split chunk unsafe_chunk split_with_sizes",
        gated: "glu",
        product("self", "mat2"): "mm bmm",
        product("mat1", "mat2"): "addmm",
        product("batch1", "batch2"): "baddbmm",
        product("self", "vec"): "mv",
        product("mat", "vec"): "addmv",
        product("self", "tensor"): "dot",
        product("self", "other"): "vdot",
        convolved: "convolution",
        per_channel(lambda call: 1): "native_batch_norm _native_batch_norm_legit_no_training cudnn_batch_norm "
        "_native_batch_norm_legit miopen_batch_norm",
        per_channel(lambda call: int(call.arguments["group"])): "native_group_norm",
        layer_normed: "native_layer_norm _fused_rms_norm",
        embedded: "embedding",
        attended: "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention "
        "_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention "
        "_scaled_dot_product_attention_math",
        pooled: "max_pool1d max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d "
        "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d upsample_nearest1d "
        "upsample_nearest2d upsample_bilinear2d upsample_bicubic2d _upsample_nearest_exact2d reflection_pad1d "
        "reflection_pad2d replication_pad1d replication_pad2d constant_pad_nd",
    }
    return {name: rule for rule, names in by_rule.items() for name in names.split()}


RULES = _table()
