//! Typed API client, informer, workqueue, backoff and the reconcile runtime.
