//! The record's JSON Schema: derived from the types, committed as `schema/record.schema.json`, and
//! checked against every record that is written or read.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use crate::Error;

/// The committed schema.
pub const COMMITTED: &str = include_str!("../schema/record.schema.json");

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value =
        serde_json::from_str(COMMITTED).expect("the committed schema is JSON (tested)");
    jsonschema::validator_for(&schema).expect("the committed schema is a schema (tested)")
});

/// Validates the JSON of a record.
///
/// # Errors
/// [`Error::Schema`] with the first violation and where it stands.
pub fn validate(what: &str, record: &Value) -> Result<(), Error> {
    VALIDATOR.validate(record).map_err(|violation| Error::Schema {
        what: what.to_owned(),
        pointer: violation.instance_path().to_string(),
        complaint: violation.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Record;

    #[test]
    fn the_committed_schema_is_the_one_that_follows_from_the_types() {
        let schema = serde_json::to_value(schemars::schema_for!(Record)).unwrap();
        let text = format!("{schema:#}\n");
        expect_test::expect_file!["../schema/record.schema.json"].assert_eq(&text);
    }

    #[test]
    fn an_unknown_or_missing_field_is_refused() {
        let mut record = serde_json::to_value(crate::results::tests::record("a01_x")).unwrap();
        assert!(validate("whole", &record).is_ok());
        record["result"]["surprise"] = Value::from(1);
        assert!(validate("more", &record).is_err());
        record["result"].as_object_mut().unwrap().remove("surprise");
        record["result"].as_object_mut().unwrap().remove("title");
        let error = validate("less", &record).unwrap_err();
        assert!(error.to_string().contains("/result"), "{error}");
    }
}
