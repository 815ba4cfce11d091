//! Downloads over HTTP that survive cut connections, killed runs and bad servers.
//!
//! A download grows in `FILE.partial`; `FILE.download.json` beside it says which version of which address it is. It is
//! resumed only from the same address, and only while the server says that it still has that version. `FILE` appears
//! by a rename when everything that is known about it has been checked.

mod answer;
mod body;
mod partial;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};
use ureq::http::Response;
use ureq::{Agent, Body};

use self::answer::Answer;
use self::body::Chunks;
use self::partial::{Partial, Record};
use super::sources::FetchedFile;
use crate::hash;
use crate::progress::{Progress, Unit};
use crate::report;
use crate::space::{self, FreeSpace};

/// A failure after this much more than ever before is counted as the first.
const PROGRESS: u64 = 1 << 20;
/// After so many bytes of unknown total it is looked whether the disk has room for as many again.
const SPACE_STEP: u64 = 16 << 20;

/// How downloads are made.
pub(crate) struct Transfer {
    agent: Agent,
    settings: Settings,
}

/// What a test may want otherwise.
pub(crate) struct Settings {
    /// Failures in a row, without progress between them, after which an address is given up.
    pub(crate) attempts: u32,
    /// The pause after the first failure; it doubles with each further one.
    pub(crate) first_pause: Duration,
    /// No own pause is longer, and a server that asks for a longer one is given up.
    pub(crate) longest_pause: Duration,
    /// A connection on which nothing comes for so long is taken for cut.
    pub(crate) idle: Duration,
    /// Bytes that a file may have of which it is not known beforehand how long it is, whatever the server says.
    pub(crate) most_bytes: u64,
    /// Waits.
    pub(crate) sleep: Box<dyn Fn(Duration)>,
    /// Asks for the free bytes of a file system.
    pub(crate) free_space: Box<FreeSpace>,
    /// Whether the variables that name a proxy count.
    pub(crate) proxy: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            // More than twice the largest set of the field.
            most_bytes: 256 << 30,
            sleep: Box::new(std::thread::sleep),
            free_space: Box::new(space::free),
            proxy: true,
        }
    }
}

/// What is wanted.
pub(crate) struct Request<'a> {
    /// The address.
    pub(crate) url: &'a str,
    /// A token for this address; it is not shown to other hosts.
    pub(crate) token: Option<&'a str>,
    /// Where the file is put.
    pub(crate) path: &'a Path,
    /// Bytes, exactly.
    pub(crate) size: Option<u64>,
    /// Lower-case hexadecimal.
    pub(crate) sha256: Option<&'a str>,
}

/// Why a download failed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It is because of the address; another one may do.
    Mirror(anyhow::Error),
    /// It is because of this machine; another address would fail as well.
    Local(anyhow::Error),
}

/// Why one attempt failed.
enum Setback {
    /// The next attempt may do better, after the pause that the server asks for.
    Passing(anyhow::Error, Option<Duration>),
    /// Wrong at the end, and part of it was there before: the server may be right, and the part wrong. It is deleted.
    Resumed(anyhow::Error),
    Lasting(Trouble),
}

fn mirror(error: anyhow::Error) -> Setback {
    Setback::Lasting(Trouble::Mirror(error))
}

fn local(error: anyhow::Error) -> Setback {
    Setback::Lasting(Trouble::Local(error))
}

impl Transfer {
    /// Downloads as `settings` say.
    pub(crate) fn new(settings: Settings) -> Self {
        let mut config = Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(settings.idle))
            .http_status_as_error(false)
            .user_agent(concat!("msdeblur-xtask/", env!("CARGO_PKG_VERSION")));
        if !settings.proxy {
            config = config.proxy(None);
        }
        Self {
            agent: config.build().into(),
            settings,
        }
    }

    /// Free bytes of the file system that holds `folder`, where the system says.
    pub(crate) fn free_space(&self, folder: &Path) -> Option<u64> {
        (self.settings.free_space)(folder)
    }

    /// A file that an earlier run has downloaded to `path`, if it is what is wanted; otherwise it is deleted.
    ///
    /// # Errors
    /// When the file cannot be read or deleted.
    pub(crate) fn finished(
        &self,
        path: &Path,
        size: Option<u64>,
        sha256: Option<&str>,
    ) -> Result<Option<FetchedFile>> {
        if !path.is_file() {
            return Ok(None);
        }
        let found = FetchedFile {
            origin: Partial::beside(path)
                .record()
                .map_or_else(|| path.display().to_string(), |record| record.url),
            size: std::fs::metadata(path)
                .with_context(|| format!("cannot read {}", path.display()))?
                .len(),
            sha256: hash::sha256(path)?,
        };
        if size.is_none_or(|size| size == found.size)
            && sha256.is_none_or(|hash| hash == found.sha256)
        {
            return Ok(Some(found));
        }
        report::say(format!(
            "{} is not what is wanted; it is fetched again",
            path.display()
        ));
        Partial::beside(path).discard_all()?;
        Ok(None)
    }

    /// Downloads one address, with as many attempts as it takes while there is progress.
    ///
    /// # Errors
    /// [`Trouble::Mirror`] when another address should be tried.
    pub(crate) fn download(&self, request: &Request) -> Result<FetchedFile, Trouble> {
        let partial = Partial::beside(request.path);
        let (mut failures, mut best) = (0_u32, 0);
        let mut is_anew = false;
        loop {
            let (error, wait) = match self.attempt(request, &partial) {
                Ok(fetched) => return Ok(fetched),
                Err(Setback::Lasting(trouble)) => return Err(trouble),
                Err(Setback::Resumed(error)) if is_anew => return Err(Trouble::Mirror(error)),
                Err(Setback::Resumed(error)) => {
                    report::say(format!("{}: {error:#}; beginning anew", request.url));
                    (is_anew, best) = (true, 0);
                    continue;
                }
                Err(Setback::Passing(error, wait)) => (error, wait),
            };
            let have = partial.len();
            if have >= best + PROGRESS {
                best = have;
                failures = 0;
            }
            failures += 1;
            if failures >= self.settings.attempts {
                let error = error.context(format!("gave up after {failures} failures in a row"));
                return Err(Trouble::Mirror(error));
            }
            let pause = match wait {
                Some(wait) if wait > self.settings.longest_pause => {
                    let asked = report::duration(wait);
                    return Err(Trouble::Mirror(
                        error.context(format!("the server wants a pause of {asked}")),
                    ));
                }
                Some(wait) => wait,
                None => (self.settings.first_pause * 2_u32.saturating_pow(failures - 1))
                    .min(self.settings.longest_pause),
            };
            report::say(format!(
                "{}: {error:#}; trying again in {}",
                request.url,
                report::duration(pause)
            ));
            (self.settings.sleep)(pause);
        }
    }

    fn attempt(&self, request: &Request, partial: &Partial) -> Result<FetchedFile, Setback> {
        let mut hasher = Sha256::new();
        let resume = partial.resumable(request.url);
        let mut have = 0;
        if let Some(resume) = &resume {
            have = partial.hash_into(&mut hasher).map_err(local)?;
            // A run that was killed between the last byte and the rename.
            if resume.total == Some(have) {
                return finish(request, partial, hasher, have, true);
            }
        }
        let response = self.ask(request, resume.as_ref(), have)?;
        let answer = Answer::read(&response);
        match (answer.status, &resume) {
            (200, None) => {}
            (200, Some(_)) => {
                report::say(format!(
                    "{}: the server has another version, or cannot resume; beginning anew",
                    request.url
                ));
                have = 0;
                hasher = Sha256::new();
            }
            (206, Some(resume)) => {
                if let Err(why) = answer.continues(resume, have) {
                    // What is there and what would come are not the same file.
                    partial.discard().map_err(local)?;
                    return Err(Setback::Passing(anyhow!(why), None));
                }
            }
            (416, Some(_)) => {
                partial.discard().map_err(local)?;
                let what = "the server has less than was fetched earlier; beginning anew";
                return Err(Setback::Passing(anyhow!(what), None));
            }
            _ => return Err(answer.setback()),
        }
        if let Some(encoding) = &answer.encoding {
            let what =
                format!("the server sends it encoded as {encoding}, which was not asked for");
            return Err(mirror(anyhow!(what)));
        }
        let total = answer.total(have);
        if let (Some(size), Some(total)) = (request.size, total)
            && size != total
        {
            let what = format!("the server announces {total} bytes, expected {size}");
            return Err(mirror(anyhow!(what)));
        }
        let most = self.settings.most_bytes;
        if let (None, Some(total)) = (request.size, total)
            && total > most
        {
            let what = format!(
                "the server announces {}, more than the {} that such a file may have",
                report::megabytes(total),
                report::megabytes(most)
            );
            return Err(mirror(anyhow!(what)));
        }
        let total = total.or(request.size);
        let folder = request.path.parent().unwrap_or(Path::new("."));
        let needed = total.unwrap_or(0).saturating_sub(have);
        space::require(folder, self.free_space(folder), needed, "the download").map_err(local)?;
        if have == 0 {
            let record = Record {
                url: request.url.to_owned(),
                validator: answer.validator.clone(),
                total: answer.total(0),
            };
            partial.begin(&record).map_err(local)?;
        }
        let is_resumed = have > 0;
        have = self.receive(request, partial, &mut hasher, response, have, total)?;
        finish(request, partial, hasher, have, is_resumed)
    }

    fn ask(
        &self,
        request: &Request,
        resume: Option<&Record>,
        have: u64,
    ) -> Result<Response<Body>, Setback> {
        let mut get = self
            .agent
            .get(request.url)
            // A compressed transfer would make lengths and ranges mean something else.
            .header("Accept-Encoding", "identity");
        if let Some(token) = request.token {
            get = get.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(validator) = resume.and_then(|record| record.validator.as_ref()) {
            get = get
                .header("Range", format!("bytes={have}-"))
                .header("If-Range", validator);
        }
        get.config()
            // What is asked for over TLS must not be redirected to where anybody can change it.
            .https_only(request.url.starts_with("https://"))
            .build()
            .call()
            .map_err(answer::failed_call)
    }

    /// Appends the body to the partial file; returns how long that is then.
    fn receive(
        &self,
        request: &Request,
        partial: &Partial,
        hasher: &mut Sha256,
        response: Response<Body>,
        mut have: u64,
        total: Option<u64>,
    ) -> Result<u64, Setback> {
        let name = request.path.file_name().unwrap_or_default();
        let progress = Progress::new(total.unwrap_or(0), &name.to_string_lossy(), Unit::Bytes);
        progress.begin_at(have);
        let mut output = partial.append().map_err(local)?;
        let mut chunks = Chunks::of(response.into_body().into_reader(), self.settings.idle);
        let mut next_look = have;
        loop {
            let chunk = match chunks.next() {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => {
                    let of = total.map_or_else(String::new, |total| format!(" of {total}"));
                    let what = format!("the connection was cut after {have}{of} bytes");
                    return Err(Setback::Passing(anyhow!(error).context(what), None));
                }
            };
            if total.is_none() {
                let more = chunk.len() as u64;
                self.bound(request, partial, have + more, &mut next_look)?;
            }
            output.write(&chunk).map_err(local)?;
            hasher.update(&chunk);
            have += chunk.len() as u64;
            progress.inc(chunk.len() as u64);
            if let Some(total) = total.filter(|total| have > *total) {
                partial.discard().map_err(local)?;
                let what = format!("the server sends more than the {total} bytes expected");
                return Err(mirror(anyhow!(what)));
            }
        }
        output.sync().map_err(local)?;
        match total {
            Some(total) if have < total => {
                let what = format!("the connection was cut after {have} of {total} bytes");
                Err(Setback::Passing(anyhow!(what), None))
            }
            _ => Ok(have),
        }
    }

    /// Stops a body of unknown length before a piece that makes it `have` bytes is written, when that is too long or
    /// the disk is about to be full; nothing of it is left then.
    fn bound(
        &self,
        request: &Request,
        partial: &Partial,
        have: u64,
        next_look: &mut u64,
    ) -> Result<(), Setback> {
        let most = self.settings.most_bytes;
        if have > most {
            partial.discard().map_err(local)?;
            let what = format!(
                "the server does not say how long the file is, and sends more than {}",
                report::megabytes(most)
            );
            return Err(mirror(anyhow!(what)));
        }
        if have < *next_look {
            return Ok(());
        }
        *next_look = have + SPACE_STEP;
        let folder = request.path.parent().unwrap_or(Path::new("."));
        let free = self.free_space(folder);
        let what = "the download, of which the server does not say how long it is, still";
        space::require(folder, free, SPACE_STEP, what).map_err(|error| match partial.discard() {
            Ok(()) => local(error),
            Err(other) => local(other),
        })
    }
}

/// Compares what came with what is known, and gives it its name. What is wrong is deleted.
fn finish(
    request: &Request,
    partial: &Partial,
    hasher: Sha256,
    have: u64,
    is_resumed: bool,
) -> Result<FetchedFile, Setback> {
    let sha256 = hash::hexadecimal(&hasher.finalize());
    let wrong = match (request.size, request.sha256) {
        (Some(size), _) if size != have => Some(format!("has {have} bytes, expected {size}")),
        (_, Some(expected)) if expected != sha256 => {
            Some(format!("has SHA-256 {sha256}, expected {expected}"))
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        partial.discard().map_err(local)?;
        let wrong = anyhow!(wrong);
        return Err(match is_resumed {
            true => Setback::Resumed(wrong),
            false => mirror(wrong),
        });
    }
    partial.finish(request.path).map_err(local)?;
    Ok(FetchedFile {
        origin: request.url.to_owned(),
        size: have,
        sha256,
    })
}
