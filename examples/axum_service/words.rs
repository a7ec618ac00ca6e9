//! What names, titles and reviews are made of.

pub const CATEGORIES: [&str; 24] = [
    "art", "biography", "business", "children", "classics", "comics", "computing", "cooking", "crafts", "crime", "fantasy",
    "gardening", "health", "history", "languages", "music", "nature", "philosophy", "poetry", "politics", "romance", "science",
    "sport", "travel",
];
pub const WAREHOUSES: [&str; 3] = ["Leipzig", "Lyon", "Leeds"];
pub const COUNTRIES: [&str; 12] = [
    "Brazil", "Finland", "France", "Germany", "Ghana", "Iceland", "India", "Italy", "Japan", "Mexico", "Norway", "Portugal",
];
pub const FIRST_NAMES: [&str; 20] = [
    "Ada", "Amara", "Bruno", "Chiara", "Dmitri", "Elif", "Fatima", "Georg", "Hanna", "Ines", "Jonas", "Kofi", "Lena", "Mateo",
    "Noor", "Olga", "Pavel", "Ruth", "Sven", "Yuki",
];
pub const LAST_NAMES: [&str; 24] = [
    "Achebe", "Andersson", "Bianchi", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ivanova", "Jansen", "Kovacs",
    "Lindqvist", "Mensah", "Novak", "Okafor", "Petrov", "Quinn", "Rossi", "Sato", "Tanaka", "Ueda", "Varga", "Weber",
];
pub const ADJECTIVES: [&str; 16] = [
    "Silent", "Golden", "Hidden", "Last", "Broken", "Distant", "Crimson", "Frozen", "Invisible", "Northern", "Patient", "Restless",
    "Second", "Wandering", "Winter", "Young",
];
pub const NOUNS: [&str; 20] = [
    "Harbour", "Garden", "Letter", "River", "Compiler", "Kingdom", "Orchard", "Forest", "Detective", "Island", "Library", "Machine",
    "Mirror", "Mountain", "Ocean", "Recipe", "Shadow", "Star", "Theory", "Voyage",
];
pub const OPINIONS: [&str; 6] = [
    "I could not put it down.", "Well written and well made.", "It took a while to get going.",
    "A present for a friend, who loves it.", "Not what I expected.", "My second copy; the first one fell apart.",
];
pub const REASONS: [&str; 6] = [
    "The middle chapters alone are worth the price.", "The paper could be better.", "I learned something on every page.",
    "The ending came too soon.", "The illustrations are beautiful.", "I would read anything by this author.",
];
