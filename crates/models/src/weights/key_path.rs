use burn::module::Param;
use burn::tensor::Tensor;

/// Lists whose items torchvision's DenseNet and Microsnoop's U-Net number
/// without a dot: the field here, what stands before the number, the first.
const NUMBERED: [(&str, &str, usize); 7] = [
    ("denseblocks", "denseblock", 1),
    ("denselayers", "denselayer", 1),
    ("transitions", "transition", 1),
    ("res_downs", "res_down_", 0),
    ("conv_downs", "conv_down_", 0),
    ("res_ups", "res_up_", 0),
    ("conv_ups", "conv_up_", 0),
];

/// Where a traversal of a module stands.
#[derive(Debug, Default)]
pub(super) struct KeyPath {
    names: Vec<String>,
    containers: Vec<String>,
}

impl KeyPath {
    pub(super) fn enter(&mut self, name: &str, container: &str) {
        self.names.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    pub(super) fn exit(&mut self) {
        self.names.pop();
        self.containers.pop();
    }

    /// The names joined by dots, but for forms that no field can have: `_0` is
    /// the number `0` of a `torch.nn.Sequential`, and the items of a list of
    /// [`NUMBERED`] bear their number in their name. Which of several modules
    /// one is has no name.
    pub(super) fn key(&self) -> String {
        let mut parts: Vec<String> = Vec::with_capacity(self.names.len());
        let steps = self.names.iter().zip(&self.containers);
        let mut names = steps
            .filter(|(_, container)| !container.starts_with("Enum:"))
            .map(|(name, _)| name);
        while let Some(name) = names.next() {
            let numbered = NUMBERED.iter().find(|(list, _, _)| list == name);
            let part = match (numbered, name.strip_prefix('_')) {
                (Some((_, stem, first)), _) => match names.next() {
                    Some(index) => {
                        let index: usize = index.parse().expect("items of lists are numbered");
                        format!("{stem}{}", index + first)
                    }
                    None => name.clone(),
                },
                (None, Some(digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    digits.to_owned()
                }
                (None, _) => name.clone(),
            };
            parts.push(part);
        }
        parts.join(".")
    }

    /// Whether the parameter here is turned in files.
    pub(super) fn is_turned(&self) -> bool {
        self.names.last().is_some_and(|name| name == "weight")
            && self
                .containers
                .last()
                .is_some_and(|container| container == "Struct:Linear")
    }

    pub(super) fn file_shape<const D: usize>(&self, param: &Param<Tensor<D>>) -> Vec<usize> {
        let mut shape = param.lazy_shape().to_vec();
        if self.is_turned() {
            shape.reverse();
        }
        shape
    }
}
