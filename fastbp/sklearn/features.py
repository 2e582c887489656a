"""The last hidden layer as features: what an estimator has beside, if it is asked to transform."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import TransformerTags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from fastbp.inspection import layer_outputs
from fastbp.sklearn import networks
from fastbp.sklearn.inputs import refuse_masked


def asked_for(estimator: Any) -> bool:
    """Whether an estimator is a transformer, too.

    Raises
    ------
    AttributeError
        If it is not; scikit-learn shows it as the cause of its own.
    """
    if not estimator.as_transformer:
        raise AttributeError(
            "transform gives the activations of the last hidden layer; as_transformer=True adds it"
        )
    return True


class _Transformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """The methods of a transformer, whose outputs scikit-learn wraps in tables."""

    def transform(self, X: Any) -> npt.NDArray[np.floating]:
        """Activations of the last hidden layer, if `as_transformer` is set.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        array of the parameters' dtype, shape (n_samples, hidden_layer_sizes[-1])

        Raises
        ------
        ValueError
            If there are no hidden layers.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp.sklearn import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> net = MLPClassifier((16,), learning_rate_init=0.05, as_transformer=True)
        >>> net.fit(X, y).transform(X).shape
        (150, 16)
        """
        net = self._network()
        if len(net.layer_sizes) < 3:
            raise ValueError("transform needs a hidden layer; hidden_layer_sizes is empty.")
        refuse_masked(X=X)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return layer_outputs(net, X)[-2]


class HiddenFeatures:
    """`transform` and what belongs to it: there if the parameter `as_transformer` is set.

    It is no `TransformerMixin`: whoever looks for a transformer first would take a classifier for
    one.
    """

    as_transformer: bool
    coefs_: Any
    _sklearn_auto_wrap_output_keys = _Transformer._sklearn_auto_wrap_output_keys

    transform = available_if(asked_for)(_Transformer.transform)
    fit_transform = available_if(asked_for)(_Transformer.fit_transform)
    get_feature_names_out = available_if(asked_for)(_Transformer.get_feature_names_out)
    set_output = available_if(asked_for)(_Transformer.set_output)

    @property
    def _n_features_out(self) -> int:
        return int(self.coefs_[networks.n_layers_of(self) - 1].shape[0])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        if self.as_transformer:
            tags.transformer_tags = TransformerTags(preserves_dtype=["float64", "float32"])
        return tags
