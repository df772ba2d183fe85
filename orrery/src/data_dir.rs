//! The data directory: what `orrery up` keeps from one run to the next, and where other commands find what it started.
//!
//! ```text
//! DIR/store/            the apiserver's store
//! DIR/logs/NAME.log     what a component printed, newest run last
//! DIR/kubeconfig        how kubectl finds the API
//! DIR/run/up.lock       held by the `up` that uses the directory
//! DIR/run/components.json
//! ```

use crate::kubeconfig;
use crate::up::supervisor::Spec;
use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// How often `orrery up` tries to take its lock: one who only asks holds it for microseconds, so this is more than enough.
const LOCK_TRIES: usize = 100;

/// A component that `orrery up` started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// `apiserver`, `controller-manager`, `scheduler` or `kubelet-sim`.
    pub name: String,
    /// Its process id; `None` while it is down.
    pub pid: Option<u32>,
    /// Where it listens.
    pub address: String,
    /// How often it was started again after it had died.
    pub restarts: u32,
}

impl Component {
    /// A component that was not started yet.
    pub fn down(spec: &Spec) -> Self {
        Self {
            name: spec.name.into(),
            pid: None,
            address: spec.address.clone(),
            restarts: 0,
        }
    }
}

/// What an `orrery up` runs: the content of `run/components.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The process id of `orrery up` itself.
    pub supervisor: u32,
    /// The components, apiserver first.
    pub components: Vec<Component>,
}

/// A data directory.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

/// Held while an `orrery up` uses the directory. The lock goes with the process, however that ends.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "the lock lives as long as the open file")] File);

impl DataDir {
    /// The directory a user named, or the default: `orrery` under the user's data directory.
    pub fn new(named: Option<PathBuf>) -> Result<Self> {
        if let Some(dir) = named {
            return Ok(Self(dir));
        }
        let from = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let data = from("XDG_DATA_HOME").or_else(|| from("HOME").map(|home| home.join(".local/share")));
        let data = data.context("neither XDG_DATA_HOME nor HOME is set: name a directory with --data-dir")?;
        Ok(Self(data.join("orrery")))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the apiserver keeps its store.
    pub fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// Where a component's output goes.
    pub fn log(&self, component: &str) -> PathBuf {
        self.0.join("logs").join(format!("{component}.log"))
    }

    /// Says where the API is, for kubectl. Returns the file, as a path that holds from anywhere.
    pub fn write_kubeconfig(&self, server: &str) -> Result<PathBuf> {
        let path = std::path::absolute(self.0.join("kubeconfig"))?;
        fs::write(&path, kubeconfig::text(server))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    fn running(&self) -> PathBuf {
        self.0.join("run/components.json")
    }

    fn lock_file(&self) -> PathBuf {
        self.0.join("run/up.lock")
    }

    /// Whether an `orrery up` uses the directory.
    fn in_use(&self) -> bool {
        let file = File::open(self.lock_file());
        file.is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_err())
    }

    /// Makes the directory, and takes it for this process.
    pub fn lock(&self) -> Result<Lock> {
        for part in ["run", "logs"] {
            let dir = self.0.join(part);
            fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let path = self.lock_file();
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)?;
        // A command that asks whether anybody holds the lock holds it itself for a moment.
        let taken = (0..LOCK_TRIES).any(|_| {
            let taken = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
            if !taken {
                std::thread::yield_now();
            }
            taken
        });
        if !taken {
            let mut holder = String::new();
            file.read_to_string(&mut holder)?;
            bail!(
                "{} is in use by `orrery up` (pid {}): stop it, or name another directory with --data-dir",
                self.0.display(),
                holder.trim()
            );
        }
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())?;
        Ok(Lock(file))
    }

    /// Forgets the cluster. Takes away only what `orrery up` made; the caller holds the lock.
    pub fn clear(&self, _lock: &Lock) -> Result<()> {
        for part in ["store", "logs"] {
            let dir = self.0.join(part);
            if dir.exists() {
                fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
            }
        }
        fs::create_dir_all(self.0.join("logs"))?;
        Ok(())
    }

    /// Says what runs. Readers see the old content or the new, never half of it.
    pub fn write_running(&self, running: &Running) -> Result<()> {
        let path = self.running();
        let draft = path.with_extension("json.new");
        fs::write(&draft, serde_json::to_vec_pretty(running)?)?;
        fs::rename(&draft, &path).with_context(|| format!("cannot write {}", path.display()))
    }

    /// What runs, as the last `orrery up` said it. When that is no longer there, neither are its components: their
    /// process ids may be others' by now.
    pub fn read_running(&self) -> Result<Running> {
        let path = self.running();
        let text = fs::read(&path).with_context(|| {
            format!(
                "nothing was started in {}: run `orrery up` first, or name its directory with --data-dir",
                self.0.display()
            )
        })?;
        let mut running: Running = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what `orrery up` writes", path.display()))?;
        if !self.in_use() {
            for component in &mut running.components {
                component.pid = None;
            }
        }
        Ok(running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_in_use_is_refused_with_the_pid_of_its_user() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::new(Some(temp.path().into())).unwrap();
        let held = dir.lock().unwrap();
        let refused = dir.lock().unwrap_err().to_string();
        assert!(
            refused.contains(&format!("pid {}", std::process::id())),
            "{refused}"
        );
        drop(held);
        dir.lock().unwrap();
    }

    #[test]
    fn what_runs_is_read_back_as_it_was_written() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::new(Some(temp.path().into())).unwrap();
        assert!(dir.read_running().unwrap_err().to_string().contains("orrery up"));
        let lock = dir.lock().unwrap();
        let component = Component {
            name: "scheduler".into(),
            pid: Some(7),
            address: "127.0.0.1:7445".into(),
            restarts: 2,
        };
        let running = Running {
            supervisor: 1,
            components: vec![component],
        };
        dir.write_running(&running).unwrap();
        assert_eq!(dir.read_running().unwrap(), running);
        // As after SIGKILL: nobody was there to say that all is down.
        drop(lock);
        assert_eq!(dir.read_running().unwrap().components[0].pid, None);
        dir.lock().unwrap();
    }

    #[test]
    fn a_fresh_start_removes_the_store_and_nothing_that_is_not_ours() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::new(Some(temp.path().into())).unwrap();
        let lock = dir.lock().unwrap();
        fs::create_dir_all(dir.store().join("deep")).unwrap();
        fs::write(temp.path().join("notes.txt"), "mine").unwrap();
        dir.clear(&lock).unwrap();
        assert!(!dir.store().exists());
        assert!(temp.path().join("notes.txt").exists());
    }
}
