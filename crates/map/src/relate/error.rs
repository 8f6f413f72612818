use morphospace_profiles::ProfilesError;

use super::settings::RelationLimit;

/// Why relations cannot be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelateError {
    /// A column is missing or not filled, or a value is not finite.
    #[error(transparent)]
    Profiles(#[from] ProfilesError),
    /// Labels and values do not fit.
    #[error("{num_labels} entities of {num_features} features do not have {found} values")]
    WrongNumberOfValues {
        /// Entities.
        num_labels: usize,
        /// Features.
        num_features: usize,
        /// Values given.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error("feature {feature_index} of '{entity}' is {value}\nhint: drop the row or the feature")]
    NotFinite {
        /// The entity.
        entity: String,
        /// Feature, from 0.
        feature_index: usize,
        /// The value.
        value: f64,
    },
    /// There are not two entities.
    #[error("the map holds {found} entities, but a relation needs two")]
    TooFewEntities {
        /// How many there are.
        found: usize,
    },
    /// Two rows are of one entity.
    #[error(
        "entity '{entity}' stands in rows {first_row} and {second_row}\nhint: aggregate the map to one row for each entity"
    )]
    DuplicateEntity {
        /// The entity.
        entity: String,
        /// First row, from 1.
        first_row: usize,
        /// Second row, from 1.
        second_row: usize,
    },
    /// A row of zeros lies in no direction.
    #[error(
        "all features of '{entity}' are 0, so that it lies in no direction{}\nhint: drop the row, or take another origin than the entity itself",
        also(*num_more)
    )]
    ZeroVector {
        /// The entity.
        entity: String,
        /// How many other rows are like this.
        num_more: usize,
    },
    /// An entity is not in the map.
    #[error("there is no entity '{entity}' in the map{}", near(suggestion.as_deref()))]
    UnknownEntity {
        /// The entity asked for.
        entity: String,
        /// The nearest name.
        suggestion: Option<String>,
    },
    /// The limit lists nothing.
    #[error(
        "the limit of relations is {limit:?}, but must be at least one, or more than 0 and at most 100 percent"
    )]
    InvalidLimit {
        /// What was given.
        limit: RelationLimit,
    },
    /// A source shares no pair with the map.
    #[error(
        "none of the {num_pairs} known pairs of '{source_name}' is in the map: it has {pair_example}, the map has {map_example}\nhint: entities are compared letter by letter"
    )]
    NoKnownPairs {
        /// The source.
        source_name: String,
        /// Its pairs.
        num_pairs: usize,
        /// Some of its entities.
        pair_example: Box<str>,
        /// Some of the map's.
        map_example: Box<str>,
    },
}

fn also(num_more: usize) -> String {
    match num_more {
        0 => String::new(),
        more => format!(" ({more} more rows are like this)"),
    }
}

fn near(suggestion: Option<&str>) -> String {
    suggestion
        .map(|name| format!("\nhint: did you mean '{name}'?"))
        .unwrap_or_default()
}
