// Package console is the page at /console that every node serves. It shows people what the cluster
// is doing, and what they may do about it.
//
// The page is plain HTML, CSS and JavaScript modules, embedded as written: nothing is built, and
// nothing is loaded from elsewhere. It asks the public API for all that it shows, with the user's
// token if there is one. It asks /console/api for the few things that only the page needs.
//
// W1. The content security policy lets no script or style run that is not one of the embedded
// files. It lets no request go anywhere but to the node that served the page. Keys and values reach
// the page as text nodes only; Trusted Types make the browser refuse anything else.
//
// W2. The files need no token, and say nothing about this cluster. /console/api needs the role
// read, which the API's own table holds.
//
// W3. Any node may answer any of the page's requests: behind a load balancer they come from
// different ones. Measured figures are therefore kept apart by the node at which they were
// measured.
package console
