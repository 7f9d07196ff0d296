//! Makes the files of `data/` again that are computed from a seed: `make_fixtures DATA`.

mod made;

use std::path::Path;

fn main() -> made::Result {
    let target = std::env::args_os().nth(1).ok_or("usage: make_fixtures DATA")?;
    let target = Path::new(&target);
    // Beside the target, so that files can be renamed into it.
    let fresh = tempfile::tempdir_in(target)?;
    made::make(fresh.path())?;
    for folder in made::FOLDERS {
        let place = target.join(folder);
        if place.exists() {
            std::fs::remove_dir_all(&place)?;
        }
        std::fs::rename(fresh.path().join(folder), &place)?;
        println!("{}", place.display());
    }
    Ok(())
}
