// Package service is the testing service: the scenarios of bench behind a web page and a small JSON
// API.
//
// V1. One run at a time, because two would disturb each other's measurements. Further runs wait in
// a queue that every page shows and whose length is bounded.
//
// V2. A run belongs to the service, not to the page that started it. Reloading or closing the page
// changes nothing, and every page shows the same.
//
// V3. What a page may choose is checked as on the command line, and more narrowly. It names no
// files and no programs. Targets are this machine unless the service was started otherwise (package
// bench, B3).
//
// V4. Requests that change something come from the service's own page: they are JSON, from the same
// origin, to a host name that the service knows. So a page of another site can neither start load
// nor read results.
//
// V5. Results are files in one directory, named by what they are, and readable without the service.
// A report is there completely or not at all.
package service
