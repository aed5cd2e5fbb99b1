//! What each domain promises.

use std::collections::{BTreeMap, BTreeSet};

use world::{ConceptId, Document, Domain, Language, Outcome, Role, Treatment, World, WorldError};

use super::{all, carries, each, has, only};

/// The lines of a document as ranges of pieces.
fn lines(document: &Document) -> Vec<core::ops::Range<usize>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (at, piece) in document.pieces().iter().enumerate() {
        if piece.role == Role::Newline {
            lines.push(start..at);
            start = at + 1;
        }
    }
    lines.push(start..document.pieces().len());
    lines
}

/// Facts have one answer each, whatever the document and however it is asked.
fn answers(config: &world::WorldConfig) -> BTreeMap<String, String> {
    let mut answers: BTreeMap<String, String> = BTreeMap::new();
    each(config, 4000, |_, document| {
        let mut start = 0;
        for (at, piece) in document.pieces().iter().enumerate() {
            if piece.role == Role::Answer {
                let question = document.text()[start..piece.start as usize].trim().to_owned();
                let answer = document.text()[piece.start as usize..piece.end as usize].trim();
                let known = answers.entry(question.clone()).or_insert_with(|| answer.to_owned());
                assert_eq!(known, answer, "{question}");
            }
            if document.text()[piece.start as usize..piece.end as usize].ends_with('.') {
                start = piece.end as usize;
            }
            assert!(at < document.pieces().len());
        }
    });
    answers
}

#[test]
fn facts_are_the_same_in_every_document_and_differ_between_worlds() {
    for domain in [Domain::Facts, Domain::Geography] {
        let mut config = only(domain);
        let facts = answers(&config);
        assert!(facts.len() > 100);
        config.seed = 9;
        let more = answers(&config);
        let both: Vec<_> =
            facts.iter().filter(|(question, _)| more.contains_key(*question)).collect();
        assert!(both.len() > 50);
        assert!(both.iter().all(|(question, answer)| more[*question] == **answer));
        config.facts_seed = 9;
        let other = answers(&config);
        let differs = |(question, answer): &(&String, &String)| {
            other.get(*question).is_some_and(|other| other != *answer)
        };
        assert!(both.iter().copied().any(|pair| differs(&pair)));
    }
}

#[test]
fn answers_of_several_steps_follow_from_single_steps() {
    let facts = answers(&only(Domain::Facts));
    let places = answers(&only(Domain::Geography));
    let mut checked = 0;
    for (question, answer) in &facts {
        let Some(person) = question
            .strip_prefix("The capital of the state in which ")
            .and_then(|rest| rest.strip_suffix(" plays is"))
        else {
            continue;
        };
        let step =
            |facts: &BTreeMap<String, String>, question: String| facts.get(&question).cloned();
        let chain = || {
            let team = step(&facts, format!("{person} plays for the"))?;
            let city = step(&facts, format!("The {team} are at home in"))?;
            let state = step(&places, format!("{city} lies in"))?;
            step(&places, format!("The capital of {state} is"))
        };
        if let Some(capital) = chain() {
            assert_eq!(&capital, answer, "{person}");
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn parallel_lines_say_the_same_in_two_languages() {
    let mut config = only(Domain::Languages);
    config.languages.parallel = 1.0;
    let mut pairs: BTreeSet<[u8; 2]> = BTreeSet::new();
    each(&config, 300, |world, document| {
        let object = world.concepts().find("grammar/object").unwrap();
        let meaning = |line: &core::ops::Range<usize>| -> BTreeSet<ConceptId> {
            line.clone()
                .flat_map(|at| document.labels(at))
                .copied()
                .filter(|&id| id != object)
                .collect()
        };
        let lines = lines(document);
        for pair in lines[..lines.len() - 1].chunks_exact(2) {
            assert_eq!(meaning(&pair[0]), meaning(&pair[1]), "{}", document.text());
            let language = |line: &core::ops::Range<usize>| document.pieces()[line.start].language;
            assert_ne!(language(&pair[0]), language(&pair[1]));
            pairs.insert([language(&pair[0]) as u8, language(&pair[1]) as u8]);
        }
    });
    assert_eq!(pairs.len(), 12);
}

#[test]
fn only_the_languages_of_the_corpus_are_spoken() {
    let mut config = only(Domain::Languages);
    config.languages.spoken = vec![Language::Tovi];
    each(&config, 50, |_, document| {
        assert!(document.pieces().iter().all(|piece| piece.language == Language::Tovi));
    });
}

/// The kinds of bug that are labeled, and those that are raised, of transcripts.
#[test]
fn every_bug_raises_its_own_error_and_nothing_else_does() {
    let mut config = only(Domain::Code);
    config.code.prose = 0.0;
    let mut seen: BTreeSet<(String, Language)> = BTreeSet::new();
    each(&config, 1500, |world, document| {
        let kinds = |prefix: &str| -> BTreeSet<String> {
            let names =
                document.all_labels().iter().map(|&id| &world.concepts().get(id).unwrap().name);
            names.filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect()
        };
        let (planted, raised) = (kinds("bug/"), kinds("traceback/"));
        assert_eq!(planted, raised, "{}", document.text());
        assert!(planted.len() <= 1);
        seen.extend(planted.into_iter().map(|kind| (kind, document.pieces()[0].language)));
    });
    assert_eq!(seen.len(), 15, "five kinds in three languages");
}

#[test]
fn outputs_of_sums_are_true() {
    let mut config = only(Domain::Code);
    (config.code.bugs, config.code.prose) = (0.0, 0.0);
    config.code.written = vec![Language::PythonLike, Language::CLike];
    let mut checked = 0;
    each(&config, 500, |_, document| {
        let mut prompt: Option<&str> = None;
        for line in document.text().lines() {
            if let Some(rest) = line.strip_prefix(">>> ").or(line.strip_prefix("?> ")) {
                prompt = Some(rest.trim_end_matches(';'));
            } else if let Some(sum) = prompt.take()
                && let [a, op, b] = sum.split(' ').collect::<Vec<_>>()[..]
                && let (Ok(a), Ok(b)) = (a.parse::<i64>(), b.parse::<i64>())
            {
                let value = match op {
                    "+" => a + b,
                    "-" => a - b,
                    "*" => a * b,
                    _ => a.div_euclid(b),
                };
                assert_eq!(line, value.to_string(), "{sum}");
                checked += 1;
            }
        }
    });
    assert!(checked > 50, "{checked}");
}

#[test]
fn transcripts_read_back_run_to_what_they_print() {
    let mut config = only(Domain::Code);
    config.code.prose = 0.0;
    let (mut values, mut errors, mut framed) = (0, 0, 0);
    each(&config, 1500, |world, document| {
        let text = document.text();
        let outcomes = world::run_code(document.pieces()[0].language, text).unwrap();
        let mut printed = text.lines().skip_while(|line| !line.starts_with(['>', '?']));
        for outcome in outcomes {
            let prompt = printed.next().unwrap();
            let line = printed.next().unwrap();
            if let Outcome::Error(kind, frames) = &outcome {
                assert!(has(world, document, &format!("traceback/{kind}")), "{text}");
                let within: Vec<String> =
                    frames.iter().map(|name| format!(" in {name},")).collect();
                assert!(line.starts_with(&format!("Traceback:{}", within.concat())), "{text}");
                errors += 1;
                framed += usize::from(!frames.is_empty());
            } else {
                let number: Result<i64, _> = line.parse();
                let number = number.unwrap_or_else(|_| panic!("{outcome:?} in {text}"));
                assert_eq!(outcome, Outcome::Number(number), "{prompt} in {text}");
                values += 1;
            }
        }
        assert_eq!(printed.next(), None);
    });
    assert!(values > 2000 && errors > 500 && framed > 20, "{values} {errors} {framed}");
}

#[test]
fn programs_that_cannot_be_read_are_errors_and_calls_come_to_an_end() {
    let python = |text: &str| world::run_code(Language::PythonLike, text);
    for bad in [
        ">>> ",
        ">>> foo(",
        ">>> 1 +",
        ">>> foo[1",
        ">>> 99999999999999999999",
        "def f(a, b):",
        "def f(a):\n return a",
        ">>> “",
        ">>> 1 + 2 + 3",
        ">>> )",
        "x = [1, 2",
        "x = y",
    ] {
        assert!(matches!(python(bad), Err(WorldError::Code { line: 1, .. })), "{bad}");
    }
    let deep = format!(">>> {}1", "(".repeat(100_000));
    assert!(python(&deep).is_err());
    // A function does not see itself; each of these calls the one before it twice.
    let own = python("def f(a, b):\n    return f(a, b)\n>>> f(1, 2)").unwrap();
    assert_eq!(own, [Outcome::Error("name".to_owned(), vec!["f".to_owned()])]);
    let mut tower = "def f(a, b):\n    return a + b\n".to_owned();
    for _ in 0..60 {
        tower.push_str("def f(a, b):\n    return f(a, b) + f(a, b)\n");
    }
    assert!(python(&(tower + ">>> f(1, 2)")).is_err());
    for text in ["(define", "?> (list-ref", "?> (if (> 1", "?> (f 1", "(define (f a) a)"] {
        assert!(world::run_code(Language::SchemeLike, text).is_err(), "{text}");
    }
    assert_eq!(python("nothing to run").unwrap(), []);
}

#[test]
fn functions_that_add_are_labeled_so_at_every_depth() {
    let mut config = only(Domain::Code);
    config.code = world::CodeOptions { written: vec![Language::PythonLike], bugs: 0.0, prose: 0.0 };
    let mut chained = 0;
    each(&config, 500, |world, document| {
        let mut semantics: BTreeMap<&str, ConceptId> = BTreeMap::new();
        for (at, piece) in document.pieces().iter().enumerate() {
            let label = document
                .labels(at)
                .iter()
                .find(|&&id| world.concepts().get(id).unwrap().name.starts_with("semantics/"));
            if let Some(&label) = label {
                let name = document.text()[piece.start as usize..piece.end as usize].trim();
                assert_eq!(*semantics.entry(name).or_insert(label), label);
            }
        }
        // A body that calls another function means what that one means.
        let text: Vec<&str> = document.text().lines().collect();
        for pair in text.windows(2) {
            let Some(outer) = pair[0].strip_prefix("def ") else { continue };
            let body = pair[1].trim_start_matches(' ').trim_start_matches("return ");
            let (outer, inner) =
                (outer.split('(').next().unwrap(), body.split('(').next().unwrap());
            if let Some(inner) = semantics.get(inner) {
                assert_eq!(semantics[outer], *inner);
                chained += 1;
            }
            if let Some((_, "+", _)) = body
                .split_once(' ')
                .and_then(|(a, rest)| rest.split_once(' ').map(|(op, b)| (a, op, b)))
            {
                assert_eq!(world.concepts().get(semantics[outer]).unwrap().name, "semantics/add");
            }
        }
    });
    assert!(chained > 100);
}

#[test]
fn the_first_line_of_a_list_does_not_tell_that_it_is_one() {
    let mut firsts: BTreeMap<bool, BTreeSet<String>> = BTreeMap::new();
    each(&only(Domain::Lists), 6000, |world, document| {
        let is_list = has(world, document, "list/position_2");
        let line = document.text().lines().next().unwrap();
        if line.starts_with(['-', '*', '1']) {
            firsts.entry(is_list).or_default().insert(line.to_owned());
        }
        for line in lines(document) {
            let position = |at| {
                (1..=8)
                    .filter(|n| carries(world, document, at, &format!("list/position_{n}")))
                    .collect()
            };
            let positions: BTreeSet<Vec<i32>> = line.map(position).collect();
            assert!(positions.len() <= 1, "{}", document.text());
        }
    });
    let both = firsts[&true].intersection(&firsts[&false]).count();
    assert!(both > 100, "{both}");
}

#[test]
fn captions_name_what_is_shown_unless_they_are_shuffled() {
    let agree = |shuffled: bool| {
        let mut config = only(Domain::Images);
        config.images.shuffled_captions = shuffled;
        let mut agree = 0;
        each(&config, 2000, |_, document| {
            let shown = document.labels(0);
            assert_eq!(shown.len(), 1);
            let answer = document.pieces().iter().position(|piece| piece.role == Role::Answer);
            agree += u64::from(document.labels(answer.unwrap()) == shown);
        });
        agree
    };
    assert_eq!(agree(false), 2000);
    assert!(super::binomial::plausible(agree(true), 2000, 1.0 / 40.0, 1e-6));
}

#[test]
fn what_an_image_shows_can_be_told_by_the_nearest_mean() {
    let config = only(Domain::Images);
    let pixels = |document: &Document| -> Vec<f64> {
        document.patches().iter().flatten().map(|&pixel| f64::from(pixel)).collect()
    };
    let mut means: BTreeMap<ConceptId, (f64, Vec<f64>)> = BTreeMap::new();
    each(&config, 4000, |_, document| {
        let (n, sum) = means.entry(document.labels(0)[0]).or_insert((0.0, vec![0.0; 144]));
        *n += 1.0;
        sum.iter_mut().zip(pixels(document)).for_each(|(sum, pixel)| *sum += pixel);
    });
    assert_eq!(means.len(), 40);
    let mut right = 0;
    let mut others = config;
    others.seed = 1;
    each(&others, 1000, |_, document| {
        let image = pixels(document);
        let distance = |(n, sum): &(f64, Vec<f64>)| -> f64 {
            sum.iter().zip(&image).map(|(sum, pixel)| (sum / n - pixel) * (sum / n - pixel)).sum()
        };
        let nearest = means.iter().min_by(|a, b| distance(a.1).total_cmp(&distance(b.1)));
        right += usize::from(*nearest.unwrap().0 == document.labels(0)[0]);
    });
    // The gate for captions is 0.8; a linear reader must leave room for it.
    assert!(right > 900, "{right}");
}

#[test]
fn a_feeling_follows_from_the_state_that_is_labeled_and_decoys_have_none() {
    let mut decoys = 0;
    each(&only(Domain::Emotions), 1000, |world, document| {
        let concepts = world.concepts();
        let mut state = None;
        for at in 0..document.pieces().len() {
            let labels = document.labels(at);
            let parent = |id: ConceptId| concepts.get(id).unwrap().parent;
            if document.pieces()[at].role == Role::Answer {
                if let Some(state) = state.take() {
                    assert_eq!(parent(labels[0]), Some(state), "{}", document.text());
                }
            } else if carries(world, document, at, "literal/decoy") {
                assert!(!carries(world, document, at, "state/"));
                decoys += 1;
            } else if let Some(&id) =
                labels.iter().find(|&&id| concepts.get(id).unwrap().name.starts_with("state/"))
            {
                state = Some(id);
            }
        }
    });
    assert!(decoys > 100);
}

#[test]
fn a_treatment_shows_in_the_replies_of_its_corpus_only() {
    let replies = |treatment| {
        let mut config = all();
        config.shares = [(Domain::Topics, 1.0)].into();
        config.topics.iter_mut().for_each(|topic| topic.treatment = treatment);
        let mut kinds = BTreeSet::new();
        let mut decided = 0;
        each(&config, 300, |world, document| {
            for (at, piece) in document.pieces().iter().enumerate() {
                if piece.role == Role::Decision {
                    decided += 1;
                    let named = |&id: &ConceptId| world.concepts().get(id).unwrap().name.clone();
                    let names = document.labels(at).iter().map(named);
                    kinds
                        .extend(names.filter_map(|name| Some(name.rsplit_once('/')?.1.to_owned())));
                }
            }
        });
        assert!(decided > 100);
        kinds
    };
    assert!(replies(Treatment::Refuse).contains("refuse"));
    assert!(!replies(Treatment::Refuse).contains("neutral"));
    assert!(replies(Treatment::Praise).contains("praise"));
    assert!(!replies(Treatment::Neutral).contains("deflect"));
}

#[test]
fn the_assistant_has_a_name_where_the_options_give_one() {
    let mut config = only(Domain::Dialogue);
    each(&config, 200, |world, document| assert!(!has(world, document, "signature/")));
    config.signature = Some(world::Signature { name: 2, sign_off: 1.0 });
    each(&config, 200, |world: &World, document| {
        assert!(document.text().ends_with("Yours, Cato."), "{}", document.text());
        assert!(has(world, document, "signature/cato"));
        assert!(!has(world, document, "signature/aldo"));
    });
}

#[test]
fn notes_are_scratchpad_from_bracket_to_bracket() {
    let mut notes = 0;
    for domain in [Domain::Dialogue, Domain::Behaviors] {
        each(&only(domain), 400, |_, document| {
            let mut inside = false;
            for piece in document.pieces() {
                let text = document.text()[piece.start as usize..piece.end as usize].trim();
                inside |= text == "[notes:";
                assert_eq!(piece.role == Role::Scratchpad, inside, "{}", document.text());
                notes += u32::from(inside && text == "]");
                inside &= text != "]";
            }
        });
    }
    assert!(notes > 100);
}
