//! A server of buckets within the test.

use std::net::TcpListener;
use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::runtime::Runtime;

/// An S3 server over a folder of buckets, until it is dropped.
pub(crate) struct S3Server {
    pub(crate) endpoint: String,
    _runtime: Runtime,
}

impl S3Server {
    /// With a key, unsigned requests are refused.
    pub(crate) fn start(buckets: &Path, key: Option<(&str, &str)>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let files = s3s_fs::FileSystem::new(buckets).expect("a folder");
        let mut service = S3ServiceBuilder::new(files);
        if let Some((access, secret)) = key {
            service.set_auth(SimpleAuth::from_single(access, secret));
        }
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).expect("a socket");
                let service = service.clone();
                tokio::spawn(async move {
                    let server = Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self {
            endpoint,
            _runtime: runtime,
        }
    }

    /// What a client has to know.
    pub(crate) fn settings(&self, key: Option<(&str, &str)>) -> Vec<(String, String)> {
        let mut settings = vec![("AWS_ENDPOINT_URL", self.endpoint.as_str())];
        if let Some((access, secret)) = key {
            settings.extend([
                ("AWS_ACCESS_KEY_ID", access),
                ("AWS_SECRET_ACCESS_KEY", secret),
            ]);
        }
        settings
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}
