//! The inspector as a person sees it, in headless Chromium. Each step waits for what it expects, with a bound.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::net::TcpListener as StdListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use axum::Router;
use fantoccini::{Client, ClientBuilder, Locator};
use hybridcache::inspector::Inspector;
use hybridcache::{HybridCache, hybrid_cached};
use hybridcache_test_support::RedisServer;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;

const MARKUP: &str = "<img src=x onerror=document.title='hacked'>";

/// One process of the fleet, as far as the cache is concerned.
#[derive(Clone)]
struct Site {
    cache: HybridCache,
    loads: Arc<AtomicU64>,
    url: String,
}

impl Site {
    async fn start(redis: &RedisServer) -> Self {
        let cache = HybridCache::builder().namespace("browser").redis(redis.url()).build().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inspector = Inspector::new(&cache).values(|_, value| Some(value));
        let app = Router::new()
            .nest_service("/cache", inspector.clone().actions_if(|_| true))
            .nest_service("/a/b", inspector);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { cache, loads: Arc::default(), url }
    }

    #[hybrid_cached(name = "item", ttl = 10m, key = "{id}", skip(self), cache = self.cache)]
    async fn item(&self, id: u64) -> u64 {
        self.loads.fetch_add(1, SeqCst);
        sleep(Duration::from_millis(2)).await;
        id
    }

    #[hybrid_cached(name = "<img src=x onerror=document.title='hacked'>", ttl = 10m, key = "{word}", skip(self), cache = self.cache)]
    async fn marked(&self, word: &str) -> String {
        word.to_owned()
    }

    /// Item 1 is by far the hottest.
    fn traffic(&self) {
        let site = self.clone();
        tokio::spawn(async move {
            loop {
                for _ in 0..50 {
                    let uniform = fastrand::f64().max(1e-9);
                    site.item((200_f64).powf(uniform) as u64).await;
                }
                site.marked(MARKUP).await;
                sleep(Duration::from_millis(1)).await;
            }
        });
    }
}

struct Browser {
    client: Client,
    driver: Child,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    async fn start(width: u32, height: u32, is_dark: bool) -> Self {
        let port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Debian's chromium-driver: tests/inspector/run installs it");
        let scheme = if is_dark { 0 } else { 1 };
        let options = json!({ "goog:chromeOptions": {
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                format!("--window-size={width},{height}"),
                format!("--blink-settings=preferredColorScheme={scheme}"),
            ],
            "mobileEmulation": if width < 600 {
                json!({ "deviceMetrics": { "width": width, "height": height, "pixelRatio": 2 } })
            } else {
                Value::Null
            },
        }});
        let mut options = options.as_object().unwrap().clone();
        if width >= 600 {
            options["goog:chromeOptions"].as_object_mut().unwrap().remove("mobileEmulation");
        }
        let began = Instant::now();
        loop {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            match builder.capabilities(options.clone()).connect(&format!("http://127.0.0.1:{port}")).await {
                Ok(client) => return Self { client, driver },
                Err(error) if began.elapsed() > Duration::from_secs(60) => panic!("no browser: {error}"),
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
    }

    async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits until an expression of the page is true.
    async fn until(&self, expression: &str) {
        let began = Instant::now();
        while self.script(&format!("return Boolean({expression})")).await != Value::Bool(true) {
            assert!(began.elapsed() < Duration::from_secs(30), "never true: {expression}\n{}", self.text("body").await);
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn text(&self, selector: &str) -> String {
        self.client.find(Locator::Css(selector)).await.unwrap().text().await.unwrap()
    }

    async fn click(&self, selector: &str) {
        self.client.find(Locator::Css(selector)).await.unwrap().click().await.unwrap();
    }

    async fn screenshot(&self, name: &str) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/inspector");
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(format!("{folder}/{name}.png"), self.client.screenshot().await.unwrap()).unwrap();
    }
}

async fn fleet() -> (RedisServer, Vec<Site>) {
    let redis = RedisServer::start();
    let mut sites = Vec::new();
    for _ in 0..3 {
        sites.push(Site::start(&redis).await);
    }
    sites.iter().for_each(Site::traffic);
    (redis, sites)
}

/// Rows of the table, as one text for each.
const ROWS: &str = "[...document.querySelectorAll('#functions tbody tr')].map(row => row.cells[0].textContent)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_can_look_at_a_fleet() {
    let (_redis, sites) = fleet().await;
    let site = &sites[0];
    let browser = Browser::start(1280, 1400, false).await;

    // It is found without the slash, too.
    browser.client.goto(&format!("{}/cache", site.url)).await.unwrap();
    browser.until("location.pathname === '/cache/'").await;

    // The table fills, counts while traffic runs, and sorts.
    browser.until(&format!("{ROWS}.length === 2")).await;
    browser.until("parseFloat(document.querySelector('#functions tbody tr').cells[1].textContent) > 0").await;
    browser.click("#functions th:nth-child(1) button").await;
    browser.until(&format!("{ROWS}[0] === `{MARKUP}`")).await;
    browser.click("#functions th:nth-child(1) button").await;
    browser.until(&format!("{ROWS}[0] === 'item'")).await;

    // A name that looks like markup is text.
    assert_eq!(browser.script("return document.querySelectorAll('img').length").await, json!(0));
    assert_ne!(browser.script("return document.title").await, json!("hacked"));

    // Three processes, each with its own number.
    browser.until("document.querySelectorAll('#fleet tbody tr').length === 3").await;
    let processes =
        "new Set([...document.querySelectorAll('#fleet tbody tr')].map(row => row.cells[0].textContent)).size";
    assert_eq!(browser.script(&format!("return {processes}")).await, json!(3));

    // The hottest key of a Zipf run.
    browser.click("#look").await;
    browser.until("document.querySelector('#hot .link')?.textContent === '1'").await;
    browser.click("#look").await;

    // The life of a key, and an invalidation after which the next call loads.
    browser.click("#hot .link").await;
    browser.until("document.getElementById('life-name').textContent === 'item · 1'").await;
    browser.until("document.getElementById('events').textContent.includes('stored, ')").await;
    browser.until("document.getElementById('value').textContent === '1'").await;
    browser.screenshot("desktop-light").await;
    let loads = sites.iter().map(|site| site.loads.load(SeqCst)).sum::<u64>();
    browser.click("#invalidate").await;
    browser.until("document.getElementById('acted').textContent === 'invalidated'").await;
    browser.until("document.getElementById('events').textContent.includes('invalidated here: entry')").await;
    browser.until("document.getElementById('entry').textContent.includes('fresh')").await;
    let after = sites.iter().map(|site| site.loads.load(SeqCst)).sum::<u64>();
    assert!(after > loads, "the next call loads");

    // No refusal of the policy, and no error of the page.
    let refused =
        "performance.getEntriesByType('resource').filter(entry => !entry.name.startsWith(location.origin)).length";
    assert_eq!(browser.script(&format!("return {refused}")).await, json!(0));
    browser.client.clone().close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_without_actions_shows_no_buttons_under_any_path() {
    let (_redis, sites) = fleet().await;
    let browser = Browser::start(390, 844, true).await;
    browser.client.goto(&format!("{}/a/b", sites[0].url)).await.unwrap();
    browser.until("location.pathname === '/a/b/'").await;
    browser.until(&format!("{ROWS}.length === 2")).await;
    browser.until("document.getElementById('function').options.length === 2").await;
    browser.script("document.getElementById('function').value = 'item'; document.getElementById('key').value = '1'; document.querySelector('#find button').click()").await;
    browser.until("document.getElementById('life-name').textContent === 'item · 1'").await;
    assert_eq!(browser.script("return document.getElementById('actions').checkVisibility()").await, json!(false));
    // Nothing is wider than a phone.
    assert_eq!(browser.script("return document.documentElement.scrollWidth <= innerWidth").await, json!(true));
    browser.until("document.querySelectorAll('#fleet tbody tr').length === 3").await;
    browser.screenshot("phone-dark").await;
    browser.script("scrollTo(0, document.body.scrollHeight)").await;
    browser.screenshot("phone-dark-end").await;
    // What the page cannot do, its server refuses.
    let refused = "const done = arguments[0]; fetch('api/invalidate?function=item&key=1', { method: 'POST', headers: { 'X-Hybridcache': '1' } }).then(answer => done(answer.status))";
    assert_eq!(browser.client.execute_async(refused, Vec::new()).await.unwrap(), json!(403));
    browser.client.clone().close().await.unwrap();
}

/// For a person to look at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn screenshots_of_the_other_widths_and_schemes() {
    let (_redis, sites) = fleet().await;
    for (name, width, height, is_dark) in [("desktop-dark", 1280, 1400, true), ("phone-light", 390, 844, false)] {
        let browser = Browser::start(width, height, is_dark).await;
        browser.client.goto(&format!("{}/cache/", sites[0].url)).await.unwrap();
        browser.until("document.querySelectorAll('#fleet tbody tr').length === 3").await;
        browser.click("#look").await;
        browser.until("document.querySelectorAll('#hot .link').length > 3").await;
        browser.screenshot(name).await;
        browser.client.clone().close().await.unwrap();
    }
}
