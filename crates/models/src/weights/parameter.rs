use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use super::key_path::KeyPath;

/// A parameter of a network: its key, identity and shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Key in a file, such as `blocks.0.in_proj.weight`.
    pub name: String,
    /// What optimisers know it by.
    pub id: ParamId,
    /// Shape in a file.
    pub shape: Vec<usize>,
    /// Whether the file's axes are the other way round than in memory.
    pub is_turned: bool,
}

/// All parameters of a network in the order of its fields, without
/// initialising any.
///
/// ```
/// use burn::tensor::Device;
/// use morphospace_core::Seed;
/// use morphospace_models::{VitConfig, parameters};
///
/// let vit = VitConfig::default().init(&Device::default(), Seed::new(1))?;
/// let names: Vec<String> = parameters(&vit).into_iter().map(|p| p.name).collect();
/// assert_eq!(names[0], "cls_token");
/// assert!(names.contains(&"blocks.11.ls.gamma".to_owned()));
/// # Ok::<(), morphospace_models::ModelError>(())
/// ```
pub fn parameters<M: Module>(module: &M) -> Vec<Parameter> {
    let mut lister = Lister {
        path: KeyPath::default(),
        parameters: Vec::new(),
    };
    module.visit(&mut lister);
    lister.parameters
}

struct Lister {
    path: KeyPath,
    parameters: Vec<Parameter>,
}

impl ModuleVisitor for Lister {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = self.path.file_shape(param);
        self.parameters.push(Parameter {
            name: self.path.key(),
            id: param.id,
            shape,
            is_turned: self.path.is_turned(),
        });
    }
}
