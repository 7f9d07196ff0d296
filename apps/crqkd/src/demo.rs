//! `crqkd demo`: the whole system in one process, from quantum pulses to a message read by Bob.

use crate::decisions::{Decisions, LinkRate};
use crate::exit::{Outcome, Stopped, interrupted};
use crate::json;
use crate::message::{Cipher, open, seal};
use crate::output;
use crate::output::new_folder;
use crate::provenance::Provenance;
use crate::referee::{LinkVerdict, Verdict};
use crate::run::{How, Quantum, RunArgs, on_the_air, quantum, with_overrides};
use crate::saved;
use crate::scenario;
use crate::table::{percent, scenario_table};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use crqkd_experiment::{PaperRow, RunTally, TableRow};
use crqkd_flowgraphs::{Finished, Role};
use crqkd_forwarding::{CipherMode, Counters, MAX_REQUEST};
use crqkd_node::number::whole;
use crqkd_otp::{CiphertextMode, Decision, OtpConfig};
use crqkd_quantum::Bb84Report;
use crqkd_scenario::Scenario;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Which pad decisions the decoder sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DecisionArg {
    /// One bit a sample, as in the paper.
    Hard,
    /// Log-likelihood ratios of the quantizer.
    Soft,
}

/// How the ciphertext crosses the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CiphertextArg {
    /// Inside a coded control message.
    Protected,
    /// Uncoded: pad and radio channel are one code, as in the paper.
    Cascade,
}

/// `crqkd demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// A preset (office, hall, corridor), a scenario file, or `all` for the three presets.
    #[arg(long, default_value = "hall")]
    pub(crate) scenario: String,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Decisions on the pad bits (default: what the scenario says).
    #[arg(long, value_enum)]
    pub(crate) decision: Option<DecisionArg>,
    /// How the ciphertext crosses the air (default: what the scenario says).
    #[arg(long, value_enum)]
    pub(crate) ciphertext: Option<CiphertextArg>,
    /// Groups of quantum key to hand over, 1 to 65536 (default: what the scenario says).
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1, MAX_REQUEST.into()))]
    pub(crate) groups: Option<u32>,
    /// Write the run (results, channel, bits) to this folder for `crqkd report`; it must not exist or be empty. With
    /// `--scenario all`, each scenario has a folder of its name in it.
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What Alice writes to Bob.
const MESSAGE: &str = "The quantum key crossed the air under a one-time pad of channel key.";

/// What `--json` prints.
#[derive(Serialize)]
struct Document {
    /// One a scenario, in the order in which they ran.
    runs: Vec<Report>,
}

/// One scenario's result: what `--json` prints of it, and what the tables show.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: String,
    pub(crate) seed: u64,
    /// Keys of a simulation are known to the simulator.
    pub(crate) simulated: bool,
    /// Messages carry no tags yet.
    pub(crate) authenticated: bool,
    pub(crate) otp: OtpConfig,
    pub(crate) quantum: Vec<Bb84Report>,
    /// Why there is no quantum key, if there is none.
    pub(crate) quantum_failure: Option<String>,
    /// Both links together.
    pub(crate) row: Option<TableRow>,
    pub(crate) paper: Option<&'static PaperRow>,
    pub(crate) secret_bits: &'static str,
    /// Both links' transmissions, opened with hard and with soft decisions.
    pub(crate) decisions: Decisions,
    pub(crate) links: Vec<LinkReport>,
    /// Groups of quantum key that were asked for, and keys that they make.
    pub(crate) groups_wanted: u32,
    pub(crate) keys_wanted: u32,
    pub(crate) keys: Vec<KeyReport>,
    /// Everything that was asked for is there and equal at both ends.
    pub(crate) complete: bool,
    pub(crate) message: Option<MessageReport>,
}

#[derive(Serialize)]
pub(crate) struct LinkReport {
    pub(crate) qap: Role,
    pub(crate) user: Role,
    pub(crate) row: TableRow,
    pub(crate) groups_burned: usize,
    /// The same transmissions, opened with hard and with soft decisions.
    pub(crate) decisions: Decisions,
    /// What the decoder's counts say about the link.
    pub(crate) rate: LinkRate,
    /// Different groups that the eavesdropper opened.
    pub(crate) groups_cracked: usize,
    /// How access point, user and eavesdropper ended.
    pub(crate) endings: Vec<(Role, String)>,
    /// What each of access point, user and eavesdropper counted and dropped.
    pub(crate) counters: [Counters; 3],
}

#[derive(Serialize)]
pub(crate) struct KeyReport {
    pub(crate) key_id: String,
    pub(crate) block: u32,
    pub(crate) groups: usize,
    pub(crate) bits: usize,
    pub(crate) alice: Option<String>,
    pub(crate) bob: Option<String>,
    pub(crate) equal: bool,
}

#[derive(Serialize)]
pub(crate) struct MessageReport {
    pub(crate) text: &'static str,
    pub(crate) sealed: Vec<SealedReport>,
}

#[derive(Serialize)]
pub(crate) struct SealedReport {
    pub(crate) cipher: &'static str,
    pub(crate) key_id: String,
    pub(crate) ciphertext_bytes: usize,
    pub(crate) read_by_bob: String,
}

/// Runs the scenarios one after the other. After Ctrl-C those that were complete by then are the result.
pub(crate) fn run(args: &DemoArgs) -> Result<Outcome> {
    let all = scenario::load_all(&args.scenario)?
        .into_iter()
        .map(|scenario| overridden(scenario, args))
        .collect::<Result<Vec<_>>>()?;
    // Before anything runs: none of the folders may have something in it.
    if let Some(dir) = &args.save {
        drop(new_folder("--save", dir)?);
    }
    let mut outcome = Outcome::Ok;
    let mut runs = Vec::new();
    for scenario in &all {
        let folder = args.save.as_ref().map(|dir| match all.len() {
            1 => dir.clone(),
            _ => dir.join(&scenario.name),
        });
        let report = match one(args, scenario, folder.as_deref()) {
            Err(_) if interrupted() => break,
            report => report?,
        };
        if !report.complete {
            outcome = Outcome::Missed;
        }
        if !args.json {
            print_report(&report)?;
        }
        runs.push(report);
    }
    if runs.is_empty() {
        bail!(Stopped);
    }
    if args.json {
        json::print("crqkd/demo/1", &Document { runs })?;
    }
    Ok(outcome)
}

fn overridden(scenario: Scenario, args: &DemoArgs) -> Result<Scenario> {
    let mut scenario = with_overrides(scenario, &args.run);
    match args.decision {
        Some(DecisionArg::Hard) => scenario.otp.decision = Decision::Hard,
        Some(DecisionArg::Soft) => scenario.otp.decision = Decision::Soft,
        None => {}
    }
    match args.ciphertext {
        Some(CiphertextArg::Protected) => {
            scenario.otp.ciphertext = CiphertextMode::Protected;
            scenario.forwarding.ciphertext = CipherMode::Protected;
        }
        Some(CiphertextArg::Cascade) => {
            scenario.otp.ciphertext = CiphertextMode::Cascade;
            scenario.forwarding.ciphertext = CipherMode::Cascade;
        }
        None => {}
    }
    scenario.groups = args.groups.unwrap_or(scenario.groups);
    scenario::checked(scenario)
}

fn one(args: &DemoArgs, scenario: &Scenario, save: Option<&Path>) -> Result<Report> {
    let folder = save.map(|dir| new_folder("--save", dir)).transpose()?;
    let mut report = Report::new(scenario, args.run.seed);
    let key = match quantum(scenario, args.run.seed)? {
        Quantum::Key(key) => key,
        Quantum::NoKey { reports, reason } => {
            report.quantum = reports;
            report.quantum_failure = Some(reason);
            return Ok(report);
        }
    };
    report.quantum.clone_from(&key.reports);
    let mut how = How::new(&args.run);
    how.options.observe = folder.is_some();
    let (verdict, finished) = on_the_air(scenario, &how, key)?;
    report.fill(&verdict, &finished)?;
    if let Some(folder) = folder {
        let made = Provenance::new(scenario, args.run.seed);
        saved::save(folder.path(), scenario, &report, &verdict, made)?;
        folder.finish()?;
    }
    Ok(report)
}

impl Report {
    /// Nothing is known yet.
    pub(crate) fn new(scenario: &Scenario, seed: u64) -> Self {
        Report {
            scenario: scenario.name.clone(),
            seed,
            simulated: true,
            authenticated: false,
            otp: scenario.otp.clone(),
            quantum: Vec::new(),
            quantum_failure: None,
            row: None,
            paper: PaperRow::of(&scenario.name),
            secret_bits: "not accounted",
            decisions: Decisions::default(),
            links: Vec::new(),
            groups_wanted: scenario.groups,
            keys_wanted: scenario.groups.div_ceil(scenario.forwarding.groups_per_block.into()),
            keys: Vec::new(),
            complete: false,
            message: None,
        }
    }

    pub(crate) fn fill(&mut self, verdict: &Verdict, finished: &Finished) -> Result<()> {
        let tallies: Vec<RunTally> = verdict.links.iter().map(|link| link.tally.clone()).collect();
        self.row = Some(TableRow::new(&self.scenario, &tallies));
        for link in &verdict.links {
            self.decisions += link.decisions;
        }
        let cells = [[Role::Qap1, Role::Alice, Role::Eve1], [Role::Qap2, Role::Bob, Role::Eve2]];
        self.links = verdict
            .links
            .iter()
            .zip(cells)
            .map(|(link, roles)| self.link(link, roles, finished))
            .collect();
        for (id, [alice, bob]) in &verdict.keys {
            let equal = match (alice, bob) {
                (Some(alice), Some(bob)) => alice.bits.ct_eq(&bob.bits),
                _ => false,
            };
            let Some(one) = alice.as_ref().or(bob.as_ref()) else { continue };
            self.keys.push(KeyReport {
                key_id: id.to_string(),
                block: one.block,
                groups: one.groups.len(),
                bits: one.bits.len(),
                alice: alice.as_ref().map(|key| key.fingerprint.to_string()),
                bob: bob.as_ref().map(|key| key.fingerprint.to_string()),
                equal,
            });
        }
        self.keys.sort_by_key(|key| key.block);
        let groups: usize = self.keys.iter().map(|key| key.groups).sum();
        self.complete =
            self.keys.iter().all(|key| key.equal) && groups >= self.groups_wanted as usize;
        self.message = message(verdict)?;
        Ok(())
    }

    /// How the roles ended, for people.
    fn endings(&self) -> String {
        let all = self.links.iter().flat_map(|link| &link.endings);
        let of = |(role, ending): &(Role, String)| format!("{role}: {ending}");
        all.map(of).collect::<Vec<_>>().join(", ")
    }

    fn link(&self, link: &LinkVerdict, roles: [Role; 3], finished: &Finished) -> LinkReport {
        LinkReport {
            qap: roles[0],
            user: roles[1],
            row: TableRow::new(&self.scenario, std::slice::from_ref(&link.tally)),
            groups_burned: link.burned,
            decisions: link.decisions,
            rate: link.rate,
            groups_cracked: link.cracked,
            endings: link.endings.clone(),
            counters: roles.map(|role| finished.counters(role)),
        }
    }
}

/// Hard beside soft decisions, and the code that each link would need.
fn print_decisions(report: &Report) -> Result<()> {
    if let Some([hard, soft]) = report.decisions.rates() {
        writeln!(
            output::stdout(),
            "the same {} ciphertexts, ({}, {}) code: RR {} with hard decisions, {} with soft ones",
            report.decisions.transmissions,
            report.otp.n,
            report.otp.k,
            percent(hard),
            percent(soft),
        )?;
    }
    for link in &report.links {
        let length = |n: Option<usize>| n.map_or("-".to_owned(), |n| n.to_string());
        writeln!(
            output::stdout(),
            "{:?} by its own count: KDR {}, below {} in 95 % of groups; RR 2 % asks for n = {} hard, {} soft",
            link.user,
            percent(link.rate.kdr),
            percent(link.rate.kdr_upper),
            length(link.rate.n_hard),
            length(link.rate.n_soft),
        )?;
    }
    Ok(())
}

/// Alice encrypts under her copy of a key, Bob decrypts under his: each cipher takes a key of its own.
fn message(verdict: &Verdict) -> Result<Option<MessageReport>> {
    let mut sealed = Vec::new();
    let mut shared = verdict
        .keys
        .iter()
        .filter_map(|(id, [alice, bob])| Some((id.to_string(), alice.as_ref()?, bob.as_ref()?)));
    for cipher in [Cipher::Aes256Gcm, Cipher::OneTimePad] {
        let needed = cipher.key_bits(MESSAGE.as_bytes());
        let Some((id, alice, bob)) = shared.find(|(_, alice, _)| alice.bits.len() >= needed) else {
            break;
        };
        let letter = seal(cipher, alice.bits.duplicate(), &id, MESSAGE.as_bytes())?;
        let read = open(bob.bits.duplicate(), &id, &letter)?;
        sealed.push(SealedReport {
            cipher: cipher.name(),
            key_id: id,
            ciphertext_bytes: letter.ciphertext.len(),
            read_by_bob: String::from_utf8_lossy(&read).into_owned(),
        });
    }
    Ok((!sealed.is_empty()).then_some(MessageReport { text: MESSAGE, sealed }))
}

fn print_report(report: &Report) -> Result<()> {
    let detected: u64 = report.quantum.iter().map(|block| block.counts.detected).sum();
    writeln!(
        output::stdout(),
        "quantum link: {} BB84 blocks, {detected} clicks, QBER {}",
        report.quantum.len(),
        report.quantum.last().map(|block| block.qber).map_or("-".to_owned(), percent),
    )?;
    if let Some(reason) = &report.quantum_failure {
        writeln!(output::stdout(), "no group was made: {reason}")?;
        writeln!(
            output::stdout(),
            "somebody may be listening on the fibre; no key is handed over"
        )?;
        return Ok(());
    }
    if let Some(row) = &report.row {
        writeln!(output::stdout(), "{}", scenario_table(row))?;
        writeln!(
            output::stdout(),
            "{:.1} s of air on two links, {} of {} probes kept, {} ciphertexts, {} wrong groups (before the block hash)",
            row.air_s,
            row.kept,
            row.probes,
            row.groups,
            row.wrong
        )?;
    }
    print_decisions(report)?;
    for key in &report.keys {
        let show = |end: &Option<String>| end.clone().unwrap_or_else(|| "-".to_owned());
        writeln!(
            output::stdout(),
            "key {} ({} bits of {} groups): Alice {}, Bob {}: {}",
            key.key_id,
            key.bits,
            key.groups,
            show(&key.alice),
            show(&key.bob),
            if key.equal { "equal" } else { "NOT EQUAL" },
        )?;
    }
    if !report.complete {
        let equal = report.keys.iter().filter(|key| key.equal).count();
        writeln!(
            output::stdout(),
            "NOT COMPLETE: {equal} of {} keys; {}",
            report.keys_wanted,
            report.endings()
        )?;
    }
    if let Some(message) = &report.message {
        for sealed in &message.sealed {
            writeln!(
                output::stdout(),
                "Alice -> Bob, {} under {}, {} bytes: \"{}\"",
                sealed.cipher,
                sealed.key_id,
                sealed.ciphertext_bytes,
                sealed.read_by_bob
            )?;
        }
    }
    writeln!(
        output::stdout(),
        "simulated keys, unauthenticated messages, secrecy not accounted\n"
    )?;
    Ok(())
}
