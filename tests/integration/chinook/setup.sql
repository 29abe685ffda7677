-- What the queries need beside the Chinook tables: a full-text index, a JSON table and two views.
CREATE VIRTUAL TABLE TrackSearch USING fts5(Name, Composer, content='');
INSERT INTO TrackSearch(rowid, Name, Composer) SELECT TrackId, Name, coalesce(Composer, '') FROM Track;
CREATE TABLE CustomerDocument(CustomerId INTEGER PRIMARY KEY, Document TEXT NOT NULL);
INSERT INTO CustomerDocument
  SELECT CustomerId, json_object('name', FirstName || ' ' || LastName, 'country', Country,
                                 'tags', json_array(City, coalesce(State, 'none')))
  FROM Customer;
CREATE VIEW SalesByCountry AS
  SELECT BillingCountry AS Country, count(*) AS Invoices, round(sum(Total), 2) AS Total
  FROM Invoice GROUP BY BillingCountry;
CREATE VIEW AlbumLength AS
  SELECT AlbumId, count(*) AS Tracks, sum(Milliseconds) AS Milliseconds FROM Track GROUP BY AlbumId;
