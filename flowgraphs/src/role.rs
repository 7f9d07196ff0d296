//! Who is who on the virtual air: two cells, each with an access point, a user and an eavesdropper.

use crqkd_air::Radio;
use crqkd_forwarding::Direction;
use crqkd_keys::{QapId, UserId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One station of the whole system.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The quantum access point of Alice's cell.
    #[default]
    Qap1,
    /// The user who asks for key.
    Alice,
    /// The eavesdropper near Alice, in the cell of the first access point.
    Eve1,
    /// The quantum access point of Bob's cell.
    Qap2,
    /// The user with whom Alice shares key.
    Bob,
    /// The eavesdropper near Bob, in the cell of the second access point.
    Eve2,
}

impl Role {
    /// All of them, cell by cell.
    pub const ALL: [Role; 6] =
        [Role::Qap1, Role::Alice, Role::Eve1, Role::Qap2, Role::Bob, Role::Eve2];

    /// The name of the role, as it is typed and printed.
    pub fn name(self) -> &'static str {
        match self {
            Role::Qap1 => "qap1",
            Role::Alice => "alice",
            Role::Eve1 => "eve1",
            Role::Qap2 => "qap2",
            Role::Bob => "bob",
            Role::Eve2 => "eve2",
        }
    }

    /// The role with this name.
    pub fn of_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The role with this number.
    pub fn of_number(number: u16) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.number() == number)
    }

    /// Place of the role in [`Role::ALL`], from 0.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The cell, 0 or 1.
    pub fn cell(self) -> u32 {
        u32::from(self >= Role::Qap2)
    }

    /// What it is within its cell.
    pub fn radio(self) -> Radio {
        match self {
            Role::Qap1 | Role::Qap2 => Radio::Qap,
            Role::Alice | Role::Bob => Radio::User,
            Role::Eve1 | Role::Eve2 => Radio::Eve,
        }
    }

    /// Its number on the air and on wires.
    pub fn number(self) -> u16 {
        let kind = match self.radio() {
            Radio::Qap => 0,
            Radio::User => 100,
            Radio::Eve => 200,
        };
        kind + 1 + self.cell() as u16
    }

    /// The access point of a cell.
    pub fn qap(cell: u32) -> QapId {
        QapId(if cell == 0 { Role::Qap1 } else { Role::Qap2 }.number())
    }

    /// The user of a cell.
    pub fn user(cell: u32) -> UserId {
        UserId(if cell == 0 { Role::Alice } else { Role::Bob }.number())
    }

    /// Direction of the frames that it makes its channel key of.
    pub fn hears(self) -> Direction {
        match self.radio() {
            Radio::Qap => Direction::Reverse,
            Radio::User | Radio::Eve => Direction::Forward,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
